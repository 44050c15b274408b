//! The lines of docs/relay.md: each of ours is run as it stands there, but for addresses, paths and
//! certificates, which are the test's own.

use std::fs;
use std::path::Path;

use crate::inherited::activated;
use crate::support::certificates::Certificates;
use crate::support::{Folder, Script, Server, shell};

const START: &str = "stream-socket relay ";

/// The relays of the cookbook.
fn lines() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/relay.md");
    let page = fs::read_to_string(page).unwrap();
    let ours = page.lines().map(str::trim);
    let ours = ours.filter_map(|line| line.strip_prefix(START));
    ours.map(str::to_owned).collect()
}

/// Where something of this transport can listen here.
fn own(url: &str, folder: &Folder, name: &str) -> String {
    match url.split_once("://").unwrap().0 {
        "unix" => format!("unix://{}", folder.text(name)),
        transport => format!("{transport}://localhost:0"),
    }
}

/// The flags, with the test's certificates in the place of those that are named.
fn with_own_files(flags: &[&str]) -> String {
    let certificates = Certificates::shared();
    let mut words = Vec::new();
    for (index, word) in flags.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| flags[index]);
        words.push(match before {
            Some("--certificate") => certificates.file("localhost.pem"),
            Some("--ca" | "--client-ca") => certificates.file("ca.pem"),
            _ => (*word).to_owned(),
        });
    }
    words.join(" ")
}

/// What goes on until it is dropped.
#[allow(dead_code, reason = "held, not looked at")]
enum Relay {
    Started(Server),
    Activated(Script),
}

#[test]
fn every_line_of_the_cookbook_relays() {
    let lines = lines();
    assert!(lines.len() >= 12, "{lines:?}");
    let certificates = Certificates::shared();
    for line in lines {
        let folder = Folder::new();
        let words: Vec<&str> = line.split_whitespace().collect();
        let (listen, target, flags) = (words[0], words[1], &words[2..]);
        let mut serve = format!("{} echo", own(target, &folder, "out"));
        if target.starts_with("tls") {
            serve += &format!(" --certificate {}", certificates.file("localhost.pem"));
        }
        if flags.contains(&"--send-proxy") {
            serve += " --proxy-protocol required --proxy-from 127.0.0.1,::1";
        }
        let echo = Server::start(&serve);
        let target = echo.url().replace("127.0.0.1", "localhost");
        let rest = format!("{target} {}", with_own_files(flags));
        let (_relay, url) = if listen.starts_with("systemd") {
            let relay = activated(&folder, "--fdname=app", &format!("relay {listen} {rest}"));
            (
                Relay::Activated(relay),
                format!("unix://{}", folder.text("s")),
            )
        } else {
            let relay = Server::relay(&format!("{} {rest}", own(listen, &folder, "in")));
            let url = relay.url().to_owned();
            (Relay::Started(relay), url)
        };
        let mut ask = "$BIN connect $URL --wait 1s".to_owned();
        if listen.starts_with("tls") {
            ask += " --peer-name localhost --ca $CA --certificate $CLIENT";
        }
        if flags.contains(&"--proxy-protocol") {
            ask += " --send-proxy v1";
        }
        let (ca, client) = (certificates.file("ca.pem"), certificates.file("client.pem"));
        let variables = [("URL", &*url), ("CA", &ca), ("CLIENT", &client)];
        let outcome = shell(&format!("printf hello | {ask}"), &variables);
        assert_eq!(outcome.text(), "hello", "{line}: {outcome:?}");
    }
}
