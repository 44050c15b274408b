//! The scripts in `tests/php`, on stock PHP and with the extension.
//!
//! `same/` must say the same on both. `differ/` says what `NAME.stock` holds on stock PHP and what
//! `NAME.ours` holds with the extension: a difference that is meant. `ours/` runs with the
//! extension alone, as `serve/`, what runs in a Fiber for each connection. `manual/` are the
//! programs of PHP's manual, with clients of every make, `frameworks/` what others have written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod crowds;
mod databases;
mod faults;
mod frameworks;
mod names;
mod serve;
mod system_calls;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

/// No script takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The PHP that is tried: `$PHP`, else the `php` of the `PATH`.
static PHP: LazyLock<OsString> = LazyLock::new(|| env::var_os("PHP").unwrap_or("php".into()));

/// Its version, as `8.2`.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let code = "echo PHP_MAJOR_VERSION, '.', PHP_MINOR_VERSION;";
    php_says(false, &["-n", "-r", code])
});

/// The extension as users build it. Cargo builds no cdylib for tests.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    env::var_os("PHP_EXTENSION").map_or_else(
        || built(&["--release"], "release/libstream_socket_php.so"),
        PathBuf::from,
    )
});

/// Builds it for the `php` of the `PATH`; where it is in the target folder is known.
fn built(words: &[&str], library: &str) -> PathBuf {
    assert!(env::var_os("PHP").is_none(), "$PHP needs $PHP_EXTENSION");
    let target = env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "stream-socket-php"])
        .args(words)
        .arg("--target-dir")
        .arg(&target)
        .current_dir(root())
        .status()
        .unwrap();
    assert!(built.success(), "the extension can't be built");
    target.join(library)
}

fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.join("../..").canonicalize().unwrap()
}

fn scripts(folder: &str) -> Vec<PathBuf> {
    let mut scripts: Vec<PathBuf> = fs::read_dir(root().join("tests/php").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "php"))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty(), "no scripts in {folder}");
    scripts
}

fn php(is_ours: bool) -> Command {
    if is_ours {
        php_loading(&LIBRARY, "settings")
    } else {
        Command::new(&*PHP)
    }
}

/// PHP and its children with an extension, which a folder of settings loads.
fn php_loading(library: &Path, folder: &str) -> Command {
    let mut command = Command::new(&*PHP);
    command.env(PHP_SETTINGS, settings(library, folder));
    command
}

/// Which folders of settings PHP reads.
const PHP_SETTINGS: &str = "PHP_INI_SCAN_DIR";

/// What that variable has to be for an extension to be loaded.
fn settings(library: &Path, folder: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    fs::create_dir_all(&folder).unwrap();
    let setting = format!("extension={}\n", library.display());
    // Another test may read it at this moment.
    let written = folder.join(format!("{:?}", thread::current().id()));
    fs::write(&written, setting).unwrap();
    fs::rename(written, folder.join("stream_socket.ini")).unwrap();
    format!(":{}", folder.display())
}

/// What a script says; it has to end well.
fn said(script: &Path, is_ours: bool) -> String {
    let mut command = php(is_ours);
    command.arg(script);
    let output = bounded(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {}\n{text}{complaints}",
        script.display(),
        output.status
    );
    text
}

/// Runs to the end, or ends what takes too long.
fn bounded(mut command: Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let output = thread::spawn(move || read_all(&mut out));
    let complaints = thread::spawn(move || read_all(&mut err));
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{command:?} takes too long");
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    let output = Output {
        status: child.wait().unwrap(),
        stdout: output.join().unwrap(),
        stderr: complaints.join().unwrap(),
    };
    assert_no_leaks(&command, &String::from_utf8_lossy(&output.stderr));
    output
}

/// A debug build of PHP tells at its end what was not freed.
fn assert_no_leaks(command: &Command, complaints: &str) {
    let leaks = complaints.contains(": Freeing 0x") || complaints.contains("memory leaks detected");
    assert!(!leaks, "{command:?} leaks\n{complaints}");
}

fn read_all(source: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes).unwrap();
    bytes
}

/// What a script is to say: `NAME.8.4.stock` on that version, where it differs from `NAME.stock`.
fn expected(script: &Path, end: &str) -> String {
    let of_version = script.with_extension(format!("{}.{end}", *VERSION));
    let path = Some(of_version).filter(|path| path.is_file());
    fs::read_to_string(path.unwrap_or(script.with_extension(end))).unwrap()
}

fn assert_said(script: &Path, who: &str, said: &str, expected: &str) {
    assert!(
        said == expected,
        "{} {who} says\n{said}\nand was to say\n{expected}",
        script.display()
    );
}

#[test]
fn what_is_the_same_is_the_same() {
    for script in scripts("same") {
        let stock = said(&script, false);
        assert_said(&script, "with the extension", &said(&script, true), &stock);
    }
}

#[test]
fn what_differs_differs_as_meant() {
    for script in scripts("differ") {
        for (is_ours, who, end) in [
            (false, "on stock PHP", "stock"),
            (true, "with the extension", "ours"),
        ] {
            let expected = expected(&script, end);
            assert_said(&script, who, &said(&script, is_ours), &expected);
        }
    }
}

#[test]
fn what_stock_php_has_not_is_there() {
    for script in scripts("ours") {
        let expected = expected(&script, "expected");
        let said = said(&script, true);
        assert_said(&script, "with the extension", &said, &expected);
    }
}

#[test]
fn a_fiber_for_each_connection() {
    for script in scripts("serve") {
        let expected = fs::read_to_string(script.with_extension("expected")).unwrap();
        assert_said(&script, "serving", &said(&script, true), &expected);
    }
}

#[test]
fn strict_0_is_stock_php() {
    for name in ["addresses", "contexts", "errno", "names"] {
        let script = root().join(format!("tests/php/differ/{name}.php"));
        let mut command = php(true);
        command.args(["-d", "stream_socket.strict=0"]).arg(&script);
        let output = bounded(command);
        let said = String::from_utf8_lossy(&output.stdout);
        let expected = expected(&script, "stock");
        assert_said(&script, "unstrict", &said, &expected);
    }
}

#[test]
fn the_setting_chooses_the_transports() {
    const ALL: &str = "tcp-server tcp-client tcp-accepted udp-server udp-client \
                       unix-server unix-client unix-accepted udg-server udg-client ";
    const SERVER: &str = "tcp-server tcp-accepted udp-server unix-server unix-accepted udg-server ";
    const MPTCP: &str = "mptcp-server mptcp-client mptcp-accepted ";
    let script = root().join("tests/php/settings/transports.php");
    for (setting, ours) in [
        ("all", &*format!("{ALL}{MPTCP}")),
        ("server", &*format!("{SERVER}{MPTCP}")),
        ("tcp,udp,unix,udg", ALL),
        ("mptcp", MPTCP),
        ("tcp", "tcp-server tcp-client tcp-accepted "),
        ("udp, udg", "udp-server udp-client udg-server udg-client "),
        (
            "server,udp",
            "tcp-server tcp-accepted udp-server udp-client unix-server unix-accepted udg-server \
             mptcp-server mptcp-client mptcp-accepted ",
        ),
        ("", ""),
    ] {
        let setting = format!("stream_socket.transports={setting}");
        let said = php_says(true, &["-d", &setting, &script.to_string_lossy()]);
        assert_said(&script, &setting, &said, ours);
    }
}

#[test]
fn a_setting_that_names_no_transport_is_told() {
    for (setting, told) in [
        ("tcp,tpc", Some("\"tpc\"")),
        ("TCP", Some("\"TCP\"")),
        (" tcp, udp\t,,unix", None),
        ("server", None),
    ] {
        let setting = format!("stream_socket.transports={setting}");
        let shown = ["-d", "display_errors=1", "-d", "display_startup_errors=1"];
        let said = php_says(true, &[&shown[..], &["-d", &setting, "-r", ""]].concat());
        let named = said.split_once("stream_socket.transports names ");
        let name = named.and_then(|(_, rest)| rest.split(',').next());
        assert_eq!(name, told, "{setting}: {said}");
    }
}

/// What `clients/` says of clients of TLS: by ext/openssl (`.stock`), and by the library (`.all`),
/// or the same by both. Some is only to be had by the library.
#[test]
fn clients_of_tls_may_be_the_librarys() {
    const BY_THE_LIBRARY: [&str; 2] = ["-d", "stream_socket.tls=all"];
    let run = |script: &Path, words: &[&str]| {
        let path = script.to_string_lossy();
        php_says(!words.is_empty(), &[words, &[&*path]].concat())
    };
    for script in scripts("clients") {
        let has = |end: &str| script.with_extension(end).is_file();
        let stock = if has("all") && !has("stock") {
            String::new()
        } else {
            run(&script, &[])
        };
        if has("stock") {
            assert_said(&script, "on stock PHP", &stock, &expected(&script, "stock"));
        }
        let ours = if has("all") {
            expected(&script, "all")
        } else {
            stock
        };
        assert_said(
            &script,
            "by the library",
            &run(&script, &BY_THE_LIBRARY),
            &ours,
        );
    }
    for name in [
        "tls",
        "tls_clients",
        "tls_ciphers",
        "tls_ftps",
        "tls_starttls",
    ] {
        let script = root().join(format!("tests/php/same/{name}.php"));
        let stock = run(&script, &[]);
        assert_said(
            &script,
            "by the library",
            &run(&script, &BY_THE_LIBRARY),
            &stock,
        );
    }
}

#[test]
fn the_setting_turns_tls_off() {
    let script = root().join("tests/php/differ/tls_streams.php");
    let mut command = php(true);
    command.args(["-d", "stream_socket.tls=off"]).arg(&script);
    let said = bounded(command).stdout;
    let said = String::from_utf8_lossy(&said);
    assert_said(&script, "without TLS", &said, &expected(&script, "stock"));
}

/// A server of `manual/`, and the address that it says it has.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(name: &str) -> Self {
        let mut child = php(true)
            .arg(root().join("tests/php/manual").join(name))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let said = child.stdout.as_mut().unwrap();
        BufReader::new(said).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{name} says {address:?}");
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn output_of(program: &str, words: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(words);
    String::from_utf8_lossy(&bounded(command).stdout).into_owned()
}

/// What PHP says that is told `words`.
fn php_says(is_ours: bool, words: &[&str]) -> String {
    let mut command = php(is_ours);
    command.args(words);
    String::from_utf8_lossy(&bounded(command).stdout).into_owned()
}

fn client(name: &str, is_ours: bool, address: &str) -> String {
    let script = root().join("tests/php/manual").join(name);
    php_says(is_ours, &[&script.to_string_lossy(), address])
}

#[test]
fn the_manuals_tcp_time_server_answers() {
    let server = Server::start("time_server_tcp.php");
    let address = &server.address;
    let telnet = format!("telnet://{address}");
    for time in [
        client("http_client.php", true, address),
        client("http_client.php", false, address),
        output_of("curl", &["--silent", "--max-time", "5", &telnet]),
        output_of("socat", &["-u", &format!("TCP:{address}"), "STDOUT"]),
    ] {
        assert!(time.starts_with("The local time is "), "{time:?}");
    }
}

#[test]
fn the_manuals_udp_time_server_answers() {
    let server = Server::start("time_server_udp.php");
    for is_ours in [true, false, true] {
        let time = client("udp_client.php", is_ours, &server.address);
        assert!((20..=26).contains(&time.len()), "{time:?}");
    }
}

#[test]
fn a_http_server_answers_curl_and_php() {
    const CURL: &str =
        "$c = curl_init($argv[1]); curl_setopt($c, CURLOPT_TIMEOUT, 5); curl_exec($c);";
    const GET: &str = "echo file_get_contents($argv[1]);";
    let server = Server::start("http_server.php");
    let url = format!("http://{}/", server.address);
    for page in [
        output_of("curl", &["--silent", "--max-time", "5", &url]),
        php_says(true, &["-r", GET, "--", &url]),
        php_says(true, &["-r", CURL, "--", &url]),
    ] {
        assert_eq!(page, "hello from PHP\n");
    }
    let whole = client("http_client.php", true, &server.address);
    assert!(whole.ends_with("\r\n\r\nhello from PHP\n"), "{whole:?}");
}
