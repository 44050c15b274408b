//! The lines of docs/relay.md: each of ours, and each of a peer that Debian has, is run as it
//! stands there, but for addresses, paths and certificates, which are the test's own. Both do the
//! same.

mod peers;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use self::peers::Places;
use crate::inherited::activated;
use crate::support::certificates::Certificates;
use crate::support::{Folder, LIMIT, Script, Server, free_port, shell};

const START: &str = "stream-socket relay ";

/// A relay of the cookbook.
struct Recipe {
    ours: String,
    /// What it stands in for.
    others: Vec<String>,
}

/// What is indented is a line of a command, or several where it is indented further.
fn recipes() -> Vec<Recipe> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/relay.md");
    let (mut recipes, mut others) = (Vec::new(), Vec::<String>::new());
    for line in fs::read_to_string(page).unwrap().lines() {
        let Some(line) = line.strip_prefix("    ") else {
            others.clear();
            continue;
        };
        if let Some(ours) = line.strip_prefix(START) {
            recipes.push(Recipe {
                ours: ours.to_owned(),
                others: std::mem::take(&mut others),
            });
        } else if line.starts_with(' ') {
            let before = others.last_mut().unwrap();
            *before = format!("{before}\n{}", line.trim());
        } else {
            others.push(line.to_owned());
        }
    }
    recipes
}

fn transport(url: &str) -> &str {
    url.split_once("://").unwrap().0
}

/// Where something of this transport can listen here.
fn own(url: &str, folder: &Folder, name: &str) -> String {
    match transport(url) {
        "unix" => format!("unix://{}", folder.text(name)),
        transport => format!("{transport}://127.0.0.1:0"),
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

impl Recipe {
    fn words(&self) -> Vec<&str> {
        self.ours.split_whitespace().collect()
    }

    /// An echo for it to relay to.
    fn target(&self, folder: &Folder) -> Server {
        let (target, flags) = (self.words()[1], &self.words()[2..]);
        let mut serve = format!("{} echo", own(target, folder, "out"));
        if target.starts_with("tls") {
            let file = Certificates::shared().file("localhost.pem");
            serve += &format!(" --certificate {file}");
        }
        if flags.contains(&"--send-proxy") {
            serve += " --proxy-protocol required --proxy-from 127.0.0.1,::1";
        }
        Server::start(&serve)
    }

    /// Starts ours, and says where it listens.
    fn start(&self, target: &Server, folder: &Folder) -> (Relay, String) {
        let (listen, flags) = (self.words()[0], &self.words()[2..]);
        // Only a certificate is for the name, which may have ::1 as well.
        let target = match transport(target.url()) {
            "tls" => target.url().replace("127.0.0.1", "localhost"),
            _ => target.url().to_owned(),
        };
        let rest = format!("{target} {}", with_own_files(flags));
        if listen.starts_with("systemd") {
            let relay = activated(folder, "--fdname=app", &format!("relay {listen} {rest}"));
            let url = format!("unix://{}", folder.text("s"));
            return (Relay::Activated(relay), url);
        }
        let relay = Server::relay(&format!("{} {rest}", own(listen, folder, "in")));
        let url = relay.url().to_owned();
        (Relay::Started(relay), url)
    }

    /// What sends it its input and prints what comes back.
    fn question(&self) -> String {
        let mut ask = "$BIN connect $URL --wait 1s".to_owned();
        if self.words()[0].starts_with("tls") {
            ask += " --peer-name localhost --ca $CA --certificate $CLIENT";
        }
        if self.words().contains(&"--proxy-protocol") {
            let is_udp = self.words()[0].starts_with("udp");
            ask += if is_udp {
                " --send-proxy v2"
            } else {
                " --send-proxy v1"
            };
        }
        ask
    }

    /// Starts a peer in the place of ours; `None` for one that Debian does not have.
    fn start_other(
        &self,
        line: &str,
        target: &Server,
        folder: &Folder,
    ) -> Option<(Script, String)> {
        let (port, path) = (free_port(), folder.text("other"));
        let (listen, url) = match transport(self.words()[0]) {
            "unix" => (&path, format!("unix://{path}")),
            "systemd" => (&port, format!("tcp://127.0.0.1:{port}")),
            transport => (&port, format!("{transport}://127.0.0.1:{port}")),
        };
        let target = match target.url().strip_prefix("unix://") {
            Some(path) => path,
            None => target.port(),
        };
        let places = Places {
            listen,
            target,
            folder,
        };
        peers::start(line, &places).map(|peer| (peer, url))
    }
}

/// What comes back through a peer of another make, which does not tell when it is there. The
/// question stays open meanwhile: not all of them go on when one side has ended.
fn answer(ask: &str, variables: &[(&str, &str)]) -> String {
    let begun = Instant::now();
    loop {
        let mut asking = Script::start(&format!("exec timeout 5 {ask}"), variables);
        // It may have been refused already.
        _ = asking.child.stdin.as_mut().unwrap().write_all(b"hello");
        let mut heard = String::new();
        let stdout = asking.child.stdout.as_mut().unwrap();
        stdout.take(5).read_to_string(&mut heard).unwrap();
        if !heard.is_empty() || begun.elapsed() > LIMIT {
            return heard;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_line_of_the_cookbook_relays() {
    let recipes = recipes();
    let others: usize = recipes.iter().map(|recipe| recipe.others.len()).sum();
    assert!(
        recipes.len() >= 12 && others >= 13,
        "{} {others}",
        recipes.len()
    );
    let certificates = Certificates::shared();
    let (ca, client) = (certificates.file("ca.pem"), certificates.file("client.pem"));
    for recipe in recipes {
        let folder = Folder::new();
        let target = recipe.target(&folder);
        let ask = recipe.question();
        let (relay, url) = recipe.start(&target, &folder);
        let variables = [("URL", &*url), ("CA", &ca), ("CLIENT", &client)];
        let outcome = shell(&format!("printf hello | {ask}"), &variables);
        assert_eq!(outcome.text(), "hello", "{}: {outcome:?}", recipe.ours);
        drop(relay);
        for other in &recipe.others {
            let Some((_peer, url)) = recipe.start_other(other, &target, &folder) else {
                continue;
            };
            let variables = [("URL", &*url), ("CA", &ca), ("CLIENT", &client)];
            assert_eq!(answer(&ask, &variables), "hello", "{other}");
        }
    }
}
