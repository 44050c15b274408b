//! `stream_socket::php` against its model: stock PHP opens the same addresses, on loopback, and
//! must report the same errors, hosts, ports and names.
//!
//! UDP clients show the port without a server. A host that is no address shows in the words in
//! which the resolver's failure is reported.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use stream_socket::php::{self, InetTarget, PhpTarget, TargetKind, UnixTarget};

use crate::support::peer::program;

const REGISTERED: [(&[u8], TargetKind); 4] = [
    (b"tcp", TargetKind::Inet),
    (b"udp", TargetKind::Inet),
    (b"unix", TargetKind::Unix),
    (b"udg", TargetKind::Unix),
];

/// Reads addresses in hexadecimal, one a line, and answers with the error text, the name of the
/// socket (of the peer, for a client) and the notices, in hexadecimal too.
const SCRIPT: &str = r#"
while (($line = fgets(STDIN)) !== false) {
    $address = hex2bin(trim($line));
    $errno = $errstr = null;
    $notices = [];
    set_error_handler(function ($level, $text) use (&$notices) {
        if ($level == E_NOTICE) { $notices[] = $text; }
        return true;
    });
    $local = preg_match('~^(unix|udg)://~', $address);
    $stream = $local
        ? stream_socket_server($address, $errno, $errstr, STREAM_SERVER_BIND)
        : stream_socket_client($address, $errno, $errstr, 1);
    $name = $stream ? (string) stream_socket_get_name($stream, !$local) : '';
    echo join(' ', array_map('bin2hex', [$errstr, $name, join('|', $notices)])), " $errno\n";
    $stream = null;
}
"#;

/// What PHP said about one address.
#[derive(Debug)]
struct Answer {
    error: String,
    name: Vec<u8>,
    notices: String,
    errno: String,
}

/// Every answer of one PHP process.
fn ask_php(addresses: &[Vec<u8>]) -> Vec<Answer> {
    let directory = tempfile::tempdir().unwrap();
    let mut php = Command::new(program("php"))
        .args(["-n", "-r", SCRIPT])
        .current_dir(directory.path())
        // A name that is looked up in vain must not hold up the tests.
        .env("RES_OPTIONS", "timeout:1 attempts:1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = addresses
        .iter()
        .map(|address| hex(address) + "\n")
        .collect();
    let mut stdin = php.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = php.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = text.lines().map(parse_answer).collect();
    assert_eq!(
        answers.len(),
        addresses.len(),
        "PHP answers each address: {text}"
    );
    answers
}

fn parse_answer(line: &str) -> Answer {
    let fields: Vec<&str> = line.split(' ').collect();
    let [error, name, notices, errno] = fields[..] else {
        panic!("unexpected answer {line:?}")
    };
    let text = |field| String::from_utf8_lossy(&bytes(field)).into_owned();
    Answer {
        error: text(error),
        name: bytes(name),
        notices: text(notices),
        errno: errno.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn compare(addresses: &[Vec<u8>]) {
    let answers = ask_php(addresses);
    for (address, answer) in addresses.iter().zip(answers) {
        let shown = address.escape_ascii().to_string();
        match php::parse(address, &REGISTERED) {
            Err(error) => {
                assert_eq!(answer.error, error.to_string(), "{shown}");
                assert_eq!(answer.errno, "0", "{shown}");
            }
            Ok(parsed) => match parsed.target {
                PhpTarget::Inet(target) => compare_inet(&shown, target, &answer),
                PhpTarget::Unix(target) => compare_unix(&shown, target, &answer),
                _ => panic!("{shown}: a kind of target without a comparison"),
            },
        }
    }
}

fn compare_inet(shown: &str, target: InetTarget<'_>, answer: &Answer) {
    let host = String::from_utf8_lossy(target.host);
    let name = match &*host {
        "127.0.0.1" => format!("127.0.0.1:{}", target.port.number),
        "::1" => format!("[::1]:{}", target.port.number),
        _ => {
            let prefix = format!("php_network_getaddresses: getaddrinfo for {host} failed: ");
            assert!(answer.error.starts_with(&prefix), "{shown}: {answer:?}");
            return;
        }
    };
    // A datagram socket connected to port 0 has no peer.
    let expected = if target.port.number == 0 { "" } else { &name };
    assert_eq!(answer.error, "", "{shown}");
    assert_eq!(String::from_utf8_lossy(&answer.name), expected, "{shown}");
}

fn compare_unix(shown: &str, target: UnixTarget<'_>, answer: &Answer) {
    // PHP shows neither abstract names nor those that the kernel chose.
    let name = if target.is_abstract() {
        b""
    } else {
        target.name
    };
    assert_eq!(answer.error, "", "{shown}");
    assert_eq!(
        answer.name.escape_ascii().to_string(),
        name.escape_ascii().to_string()
    );
    let limit = target.limit();
    let notice = format!(
        "stream_socket_server(): socket path exceeded the maximum allowed length of {limit} bytes \
         and was truncated"
    );
    assert_eq!(
        answer.notices,
        if target.truncated { &*notice } else { "" },
        "{shown}"
    );
}

/// Machines without IPv6 report other errors for it.
fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists() && std::net::UdpSocket::bind("[::1]:0").is_ok()
}

#[test]
fn errors_and_hosts_are_those_of_stock_php() {
    let mut addresses: Vec<Vec<u8>> = [
        "",
        ":",
        "h",
        "tcp",
        "127.0.0.1",
        "127.0.0.1:",
        "tcp://",
        "udp:///",
        "tcp://127.0.0.1:",
        "tcp://[",
        "tcp://[]",
        "tcp://[]x",
        "tcp://[:5",
        "tcp://[::1",
        "tcp://[::1]",
        "tcp://[::1]x:7",
        "tcp://[a]b]:80",
        "tcp://\0",
        "tcp://127.0.0.1:80\0",
        "tcp://[::1]\0:1",
        "TCP://127.0.0.1:1",
        "+-://127.0.0.1:1",
        "..://h:1",
        "ab:// x",
        "sslv9://h:1",
        "t\u{e9}://h",
        "tc\0p://h:1",
        "a://h:1",
        "tcp:/h:1",
        "x_y://h:1",
        "udp://[]:5",
        "udp://:80",
        "udp://::1:80",
        "udp:// h:80",
        "udp://*:1",
        "://h:1",
        "udp://[[::1]:9",
    ]
    .map(|address| address.as_bytes().to_vec())
    .into();
    addresses
        .extend([30, 31, 32, 40].map(|length| [b"x".repeat(length), b"://h:1".to_vec()].concat()));
    addresses.push(b"tcp://\xff\xfe".to_vec());
    compare(&addresses);
}

#[test]
fn ports_are_those_of_stock_php() {
    let hosts: &[&str] = if has_ipv6() {
        &["127.0.0.1", "[127.0.0.1]", "[::1]"]
    } else {
        &["127.0.0.1", "[127.0.0.1]"]
    };
    let blanks_and_signs = [
        "",
        " ",
        "\t\n\u{b}\u{c}\r ",
        "+",
        "-",
        " -",
        "+-",
        "- ",
        "\u{a0}",
    ];
    let numbers = [
        "",
        "0",
        "1",
        "80",
        "00080",
        "65535",
        "65536",
        "70000",
        "2147483647",
        "2147483648",
        "4294967295",
        "4294967297",
        "9223372036854775806",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "99999999999999999999",
        "0x50",
        "1e3",
        "http",
    ];
    let mut addresses = Vec::new();
    for host in hosts {
        for sign in blanks_and_signs {
            for number in numbers {
                for rest in ["", "/path?x", " ", ":", "]", "\0"] {
                    addresses.push(format!("udp://{host}:{sign}{number}{rest}").into_bytes());
                }
            }
        }
    }
    compare(&addresses);
}

#[test]
fn local_names_are_those_of_stock_php() {
    let unique = std::process::id();
    let addresses: Vec<Vec<u8>> = [
        ("unix", String::new()),
        ("udg", String::new()),
        ("unix", "s".to_owned()),
        ("unix", "@s".to_owned()),
        ("udg", "a%20b?x#y".to_owned()),
        ("unix", "cut\0here".to_owned()),
        ("unix", "p".repeat(107)),
        ("udg", "q".repeat(108)),
        ("unix", "r".repeat(300)),
        ("unix", format!("t\0{}", "t".repeat(300))),
        ("unix", format!("\0{unique}a")),
        ("unix", format!("\0{unique:0>107}")),
        ("udg", format!("\0{unique:1>108}")),
        ("unix", format!("\0{unique:2>300}")),
    ]
    .map(|(transport, target)| format!("{transport}://{target}").into_bytes())
    .into();
    compare(&addresses);
}
