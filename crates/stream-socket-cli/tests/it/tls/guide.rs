//! The lines of docs/tls.md: each block is run as it stands there, on a port of its own, and what
//! is printed is compared, where `…` stands for anything.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::support::certificates::Certificates;
use crate::support::{Folder, shell};

/// A command, and the lines that it is said to print.
struct Step {
    command: String,
    expected: Vec<String>,
}

/// The blocks of the page, each its steps.
fn blocks() -> Vec<Vec<Step>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tls.md");
    let page = fs::read_to_string(page).unwrap();
    let mut blocks = vec![Vec::new()];
    for line in page.lines() {
        let block: &mut Vec<Step> = blocks.last_mut().unwrap();
        match line.strip_prefix("    ") {
            None if block.is_empty() => {}
            None => blocks.push(Vec::new()),
            Some(code) => match (code.strip_prefix("$ "), block.last_mut()) {
                (Some(command), _) => block.push(Step {
                    command: command.to_owned(),
                    expected: Vec::new(),
                }),
                (None, Some(step)) => step.expected.push(code.to_owned()),
                (None, None) => panic!("a block begins with {code:?}"),
            },
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

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

/// One script of a block: servers are waited for, and before each other command stands a mark.
fn script(block: &[Step]) -> String {
    let mut script = String::from(
        "stream-socket() { \"$BIN\" \"$@\"; }\ncd $FOLDER\ntrap 'kill $(jobs -p)' EXIT\n",
    );
    for step in block {
        script += &match step.command.strip_suffix(" &") {
            Some(server) => format!(
                "$BIN {} >bound 2>log </dev/null &\nuntil test -s bound; do sleep 0.02; done\n",
                server.strip_prefix("stream-socket ").unwrap()
            ),
            None => format!("echo MARK\n{{ {}; }} 2>&1 </dev/null\n", step.command),
        };
    }
    script + "true\n"
}

fn is_like(line: &str, expected: &str) -> bool {
    let parts: Vec<_> = expected.split('…').collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    line.strip_prefix(first)
        .is_some_and(|rest| rest.is_empty() || parts.len() > 1 && rest.ends_with(last))
}

#[test]
fn every_line_of_the_guide_does_what_is_said() {
    let blocks = blocks();
    assert!(blocks.len() >= 7);
    for block in blocks {
        let folder = files();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        drop(listener);
        let script = script(&block).replace("4433", &port);
        let outcome = shell(&script, &[("FOLDER", &folder.text(""))]);
        let printed = outcome.text().split("MARK\n").skip(1);
        let asked: Vec<_> = block
            .iter()
            .filter(|step| !step.command.ends_with(" &"))
            .collect();
        let printed: Vec<_> = printed.collect();
        assert_eq!(printed.len(), asked.len(), "{outcome:?}");
        for (step, printed) in asked.into_iter().zip(printed) {
            let printed: Vec<_> = printed.lines().collect();
            let expected: Vec<_> = step
                .expected
                .iter()
                .map(|line| line.replace("4433", &port))
                .collect();
            let is_right = printed.len() == expected.len()
                && printed
                    .iter()
                    .zip(&expected)
                    .all(|(line, expected)| is_like(line, expected));
            assert!(
                is_right,
                "{}: {printed:?} is not {expected:?}",
                step.command
            );
        }
    }
}
