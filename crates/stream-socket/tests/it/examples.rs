//! The examples, run as a reader would run them, each against a peer that is not ours.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::thread;

/// An example, built anew if need be: `cargo test --test it` alone does not do that.
fn example(name: &str) -> Command {
    static BUILT: Once = Once::new();
    // This test's binary is in target/PROFILE/deps.
    let binary = std::env::current_exe().unwrap();
    let profile = binary.ancestors().nth(2).unwrap();
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--examples", "--manifest-path"]);
        build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        build.arg("--target-dir").arg(profile.parent().unwrap());
        assert!(build.status().unwrap().success(), "{build:?}");
    });
    Command::new(profile.join("examples").join(name))
}

/// An example that serves, and the URL that it printed; ended when dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(name: &str, url: &str) -> Self {
        let mut process = example(name)
            .arg(url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        Self {
            process,
            url: url.trim_end().to_owned(),
        }
    }

    fn host_and_port(&self) -> (&str, &str) {
        self.url
            .strip_prefix("tcp://")
            .unwrap()
            .rsplit_once(':')
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_time_server_tells_each_client_the_time() {
    let server = Server::start("time_server", "tcp://127.0.0.1:0");
    for _ in 0..3 {
        let said = output(
            Command::new("curl")
                .args(["-sS", "--max-time", "10"])
                .arg(format!(
                    "telnet://{}",
                    server.url.strip_prefix("tcp://").unwrap()
                )),
        );
        assert!(said.starts_with("Seconds since 1970: "), "{said}");
    }
}

#[test]
fn the_udp_time_server_tells_each_peer_the_time() {
    let server = Server::start("udp_time_server", "udp://127.0.0.1:0");
    let address = server.url.strip_prefix("udp://").unwrap();
    for _ in 0..3 {
        let script = format!(
            "$s = stream_socket_client('udp://{address}'); fwrite($s, \"\\n\"); echo fread($s, 99);"
        );
        let said = output(Command::new("php").args(["-n", "-r", &script]));
        assert!(said.starts_with("Seconds since 1970: "), "{said}");
    }
}

#[test]
fn http_get_prints_what_the_server_sent_line_by_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = client.read(&mut request).unwrap();
        client
            .write_all(b"HTTP/1.0 200 OK\r\n\r\nline\nlast")
            .unwrap();
        String::from_utf8(request[..length].to_vec()).unwrap()
    });
    let said = output(example("http_get").args([&url, "/page"]));
    assert_eq!(said, "HTTP/1.0 200 OK\r\n\r\nline\nlast");
    assert!(server.join().unwrap().starts_with("GET /page HTTP/1.0\r\n"));
}

#[test]
fn the_daytime_client_asks_once_and_prints_the_answer() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}", socket.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut question = [0; 16];
        let (length, client) = socket.recv_from(&mut question).unwrap();
        socket.send_to(b"noon\n", client).unwrap();
        question[..length].to_vec()
    });
    assert_eq!(output(example("daytime_client").arg(&url)), "noon\n");
    assert_eq!(server.join().unwrap(), b"\n");
}

#[test]
fn the_echo_server_answers_many_clients_at_once() {
    let server = Server::start("echo_select", "tcp://127.0.0.1:0");
    let (host, port) = server.host_and_port();
    let mut clients: Vec<_> = (0..20)
        .map(|_| std::net::TcpStream::connect(format!("{host}:{port}")).unwrap())
        .collect();
    // In the opposite order to that in which they came: none waits for another.
    for (number, client) in clients.iter_mut().enumerate().rev() {
        let text = format!("hello {number}\n");
        client.write_all(text.as_bytes()).unwrap();
        let mut echo = vec![0; text.len()];
        client.read_exact(&mut echo).unwrap();
        assert_eq!(echo, text.as_bytes());
    }
}

#[test]
fn the_credentials_are_those_of_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whoami.sock");
    let server = Server::start("unix_credentials", &format!("unix://{}", path.display()));
    let client = format!("UNIX-CONNECT:{}", path.display());
    let mut socat = Command::new("socat");
    let process = socat
        .args(["-u", &client, "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = process.id();
    let said = String::from_utf8(process.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.starts_with(&format!("process {id}, user ")), "{said}");
    assert_eq!(server.url, format!("unix://{}", path.display()));
}
