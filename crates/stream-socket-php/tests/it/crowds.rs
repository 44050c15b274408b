//! Thousands of connections in one PHP process, by `stream_select` and nothing else.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use super::{bounded, php, root};

/// The clients' ends are in a process of their own.
const CLIENTS: &str = "9000";
const DESCRIPTORS: &str = "10000";

struct Server {
    child: Child,
    says: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Server {
    fn start(is_ours: bool) -> Self {
        let mut child = php(is_ours)
            .arg(root().join("tests/php/crowd/server.php"))
            .args(["127.0.0.1:0", DESCRIPTORS])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        says.read_line(&mut address).unwrap();
        Self {
            child,
            says,
            address: address.trim().to_owned(),
        }
    }

    /// What the clients say, who run with the extension: they need as many descriptors.
    fn serve(&self) -> String {
        let mut command = php(true);
        command
            .arg(root().join("tests/php/crowd/client.php"))
            .args([&self.address, CLIENTS]);
        String::from_utf8_lossy(&bounded(command).stdout).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn nine_thousand_connections_are_served_by_stream_select() {
    let said = Server::start(true).serve();
    assert_eq!(said, format!("{CLIENTS} were answered twice\n"));
}

#[test]
fn stock_php_serves_no_more_than_a_thousand() {
    let mut server = Server::start(false);
    let said = server.serve();
    assert!(!said.contains("answered twice"), "{said}");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut server.says, &mut rest).unwrap();
    let most = rest
        .lines()
        .find_map(|line| line.strip_prefix("no more than "));
    let most: u32 = most.unwrap_or_else(|| panic!("{rest}")).parse().unwrap();
    assert!((900..1024).contains(&most), "{rest}");
}

#[test]
fn nothing_stays_of_connections() {
    let mut command = php(true);
    command
        .arg(root().join("tests/php/soak.php"))
        .args(["20000", "50"]);
    let output = bounded(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
}
