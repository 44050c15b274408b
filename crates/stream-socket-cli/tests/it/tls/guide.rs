//! The lines of docs/tls.md.

use std::fs;
use std::os::unix::fs::symlink;

use crate::guide::{Guide, page};
use crate::support::certificates::Certificates;
use crate::support::{BINARY, Folder};

/// The files that the page names.
fn files() -> Folder {
    let (folder, shared) = (Folder::new(), Certificates::shared());
    for (from, to) in [
        ("ca.pem", "authority.pem"),
        ("localhost.pem", "site.pem"),
        ("localhost.key", "site.key"),
        ("rsa.pem", "renewed.pem"),
        ("client.pem", "client.pem"),
        ("client.key", "client.key"),
        ("expired.pem", "expired.pem"),
    ] {
        fs::copy(shared.file(from), folder.path(to)).unwrap();
    }
    let others = Certificates::of("Another Authority");
    fs::copy(others.file("ca.pem"), folder.path("other-authority.pem")).unwrap();
    folder
}

#[test]
fn every_line_of_the_guide_does_what_is_said() {
    let tools = Folder::new();
    symlink(BINARY, tools.path("stream-socket")).unwrap();
    let guide = Guide {
        page: &page("tls.md"),
        port: "4433",
        tools: &tools,
        files,
    };
    assert!(guide.follow() >= 7);
}
