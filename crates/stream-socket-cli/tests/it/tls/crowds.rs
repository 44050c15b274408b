//! Clients that mean no good, and honest ones between them.

use std::time::{Duration, Instant};

use super::{authority, certified};
use crate::support::{LIMIT, Script, Server, shell};

/// Connections to `$PORT` that are held open and never finish a handshake: `$SILENT` say nothing,
/// `$LOUD` send what is not TLS, `$HALF` stop in the middle, every other one of these within their
/// first message. They come from eight addresses, since one has a share of its own.
const CROWD: &str = "exec python3 -c '
import resource, socket, ssl, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
port, silent, loud, half = map(int, sys.argv[1:])
context = ssl.create_default_context()
hello = ssl.MemoryBIO()
beginning = context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname=\"localhost\")
try: beginning.do_handshake()
except ssl.SSLWantReadError: pass
hello = hello.read()
said = [b\"\"] * silent + [b\"\\xff garbage \" * 20] * loud
said += [hello, hello[:100]] * (half // 2)
crowd = []
for i, words in enumerate(said):
    s = socket.socket()
    s.settimeout(30)
    s.setsockopt(socket.IPPROTO_IP, 24, 1)
    s.bind((f\"127.0.2.{i % 8}\", 0))
    s.connect((\"127.0.0.1\", port))
    if words: s.sendall(words)
    crowd.append(s)
print(\"held\", len(crowd), flush=True)
sys.stdin.read()' $PORT $SILENT $LOUD $HALF";

/// An honest client every 10 ms, `$COUNT` of them, each of which has a word echoed: how many had
/// it back, and after how many milliseconds 99 of 100 had.
const HONEST: &str = "exec python3 -c '
import socket, ssl, sys, threading, time
port, authority, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
context, times = ssl.create_default_context(cafile=authority), []
def ask():
    start = time.monotonic()
    with socket.create_connection((\"127.0.0.1\", port), 20) as plain:
        with context.wrap_socket(plain, server_hostname=\"localhost\") as s:
            s.sendall(b\"hello\")
            if s.recv(5) == b\"hello\": times.append(time.monotonic() - start)
threads = [threading.Thread(target=ask) for _ in range(count)]
for thread in threads:
    thread.start()
    time.sleep(0.01)
for thread in threads: thread.join()
times.sort()
print(len(times), \"served\", file=sys.stdout)
print(round(times[len(times) * 99 // 100] * 1000), \"ms\", file=sys.stderr)' $PORT $CA $COUNT";

struct Crowd {
    silent: usize,
    loud: usize,
    half: usize,
}

impl Crowd {
    fn gather(&self, server: &Server) -> Script {
        let [silent, loud, half] =
            [self.silent, self.loud, self.half].map(|count| count.to_string());
        let variables = [
            ("PORT", server.port()),
            ("SILENT", &silent),
            ("LOUD", &loud),
            ("HALF", &half),
        ];
        let mut crowd = Script::start(CROWD, &variables);
        let count = self.silent + self.loud + self.half;
        assert_eq!(crowd.line(), format!("held {count}"));
        crowd
    }
}

fn descriptors(server: &Server) -> usize {
    let list = std::fs::read_dir(format!("/proc/{}/fd", server.id()));
    list.unwrap().count()
}

/// Whoever serves, and whatever the others do, honest clients are served; and when all have gone
/// nothing is left of them.
#[test]
fn a_crowd_that_never_finishes_harms_nobody() {
    for (answer, crowd) in [
        (
            "echo",
            Crowd {
                silent: 600,
                loud: 200,
                half: 200,
            },
        ),
        // More than may be under way: those that have said nothing make room.
        (
            "echo",
            Crowd {
                silent: 3000,
                loud: 0,
                half: 100,
            },
        ),
        (
            "-- cat",
            Crowd {
                silent: 600,
                loud: 200,
                half: 200,
            },
        ),
    ] {
        let words = format!("tls://127.0.0.1:0 {} {answer}", certified());
        let server = Server::start(&words);
        let honest = |count| {
            let variables = [
                ("PORT", server.port()),
                ("CA", &authority()),
                ("COUNT", count),
            ];
            shell(HONEST, &variables)
        };
        honest("1").prints("1 served\n");
        let before = descriptors(&server);
        let gathered = crowd.gather(&server);
        honest("200").prints("200 served\n");
        drop(gathered);
        let start = Instant::now();
        while descriptors(&server) > before {
            let now = descriptors(&server);
            assert!(start.elapsed() < LIMIT, "{before} descriptors became {now}");
            std::thread::sleep(Duration::from_millis(50));
        }
        server.rests();
        server.end();
    }
}

/// One that says nothing is closed when its time is over, and told of.
#[test]
fn a_silent_client_is_closed_in_time() {
    let words = format!(
        "tls://127.0.0.1:0 echo --handshake-timeout 300ms {}",
        certified()
    );
    let mut server = Server::start(&words);
    let start = Instant::now();
    let wait = "exec 3<>/dev/tcp/127.0.0.1/$PORT; cat <&3 | wc -c";
    shell(wait, &[("PORT", server.port())]).prints("0\n");
    assert!(start.elapsed() >= Duration::from_millis(300));
    server.wait_for_log("the handshake timed out after 300ms");
    server.end();
}
