//! The lines of docs/activate.md.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::guide::{Guide, page};
use crate::php::EXTENSION;
use crate::support::{BINARY, Folder};

/// The programs that the page has the source of.
fn files() -> Folder {
    let (folder, page) = (Folder::new(), page("activate.md"));
    let fenced = page.split("\n```").skip(1).step_by(2);
    for (source, name) in fenced.zip(["app", "server.php", "hello.py", "once"]) {
        let (_language, source) = source.split_once('\n').unwrap();
        let path = folder.path(name);
        fs::write(&path, source).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

#[test]
fn every_line_of_the_guide_does_what_is_said() {
    let tools = Folder::new();
    fs::copy(BINARY, tools.path("stream-socket")).unwrap();
    fs::copy(&*EXTENSION, tools.path("stream_socket.so")).unwrap();
    let guide = Guide {
        page: &page("activate.md"),
        port: "8000",
        tools: &tools,
        files,
    };
    assert!(guide.follow() >= 8);
}
