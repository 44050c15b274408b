//! Lines, records, the end, and what is looked at without being taken.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::Shutdown;

use stream_socket::{Error, Stage, Stream, Transport};

use crate::support::child::{self, Surroundings};
use crate::support::peer::Peer;
use crate::support::{
    accept, assert_error, line_of, listen, noise, pair, receive_on, tcp_pair, until,
};

/// How a stream is taken apart.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// PHP's `fgets`, whose length counts one byte more than our limit.
    Line(usize),
    /// PHP's `stream_get_line`.
    Record(usize, &'static str),
}
use Cut::{Line, Record};

/// What comes, piece by piece; how it is cut; what comes of it.
type Case = (&'static [&'static str], Cut, &'static [&'static str]);

/// Ours and PHP's are to be equal. What PHP calls a length of 0 is our `usize::MAX`, near enough.
const CASES: &[Case] = &[
    (&["one\ntwo\nthree"], Line(99), &["one\n", "two\n", "three"]),
    (&["one\n"], Line(99), &["one\n"]),
    (&["\n\n", "x\n"], Line(99), &["\n", "\n", "x\n"]),
    (&[], Line(99), &[]),
    (&["abcdef\n"], Line(3), &["abc", "def", "\n"]),
    (&["ab\ncd"], Line(3), &["ab\n", "cd"]),
    (&["abc\nd"], Line(3), &["abc", "\n", "d"]),
    (&["a\r\nb\rc\n"], Line(99), &["a\r\n", "b\rc\n"]),
    (&["a\0b\n\0"], Line(99), &["a\0b\n", "\0"]),
    (&["x\n"], Line(1), &["x", "\n"]),
    (
        &["one||two||three"],
        Record(99, "||"),
        &["one", "two", "three"],
    ),
    (&["one||"], Record(99, "||"), &["one"]),
    (&["||", "||x"], Record(99, "||"), &["", "", "x"]),
    (&["one|", "|two|", "|"], Record(99, "||"), &["one", "two"]),
    (
        &["o", "n", "e", "|", "|", "t"],
        Record(99, "||"),
        &["one", "t"],
    ),
    (&["a|b||c|"], Record(99, "||"), &["a|b", "c|"]),
    (&["a|||b"], Record(99, "||"), &["a", "|b"]),
    (&["abcdef||g"], Record(3, "||"), &["abc", "def", "", "g"]),
    // An ending counts only where all of it is within the length.
    (&["abcde||g"], Record(3, "||"), &["abc", "de|", "|g"]),
    (&["abcde||g"], Record(4, "||"), &["abcd", "e", "g"]),
    (&["ab||"], Record(2, "||"), &["ab", ""]),
    (&["aab", "aabaac"], Record(99, "aabaac"), &["aab"]),
    (&["x-en", "d-end-y"], Record(99, "-end-"), &["x", "end-y"]),
    (&["x-end", "-end-y"], Record(99, "-end-"), &["x", "end-y"]),
    (&["abcdefg"], Record(3, ""), &["abc", "def", "g"]),
    (&["ab", "cd", "efg"], Record(3, ""), &["abc", "def", "g"]),
    (&[], Record(3, "||"), &[]),
    (&["a\nb"], Record(99, "\n"), &["a", "b"]),
];

/// What our stream makes of the pieces, looked at after each of them without waiting.
fn ours((pieces, cut, _): &Case) -> Vec<Vec<u8>> {
    let (mut here, mut there) = pair(Transport::Unix);
    here.set_blocking(false);
    let mut got = Vec::new();
    for piece in *pieces {
        there.write_all(piece.as_bytes()).unwrap();
        assert!(
            take_all(&mut here, *cut, &mut got),
            "it has not ended: {pieces:?}"
        );
    }
    drop(there);
    assert!(
        !take_all(&mut here, *cut, &mut got),
        "it has ended: {pieces:?}"
    );
    got
}

/// Takes what can be taken; whether more may come.
fn take_all(stream: &mut Stream, cut: Cut, got: &mut Vec<Vec<u8>>) -> bool {
    loop {
        let mut piece = Vec::new();
        let result = match cut {
            Line(limit) => stream.read_line(&mut piece, limit),
            Record(limit, ending) => stream.read_record(&mut piece, ending.as_bytes(), limit),
        };
        match result {
            Ok(true) => got.push(piece),
            Ok(false) => return false,
            Err(error) => {
                assert_eq!(error.io_kind(), ErrorKind::WouldBlock, "{error}");
                assert_eq!(piece, b"", "nothing is given by halves");
                return true;
            }
        }
    }
}

/// Reads cases, one a line: what is asked, a length, an ending, the pieces. Pieces and results are
/// in hexadecimal. Records are taken between the pieces, lines after all of them: the `fgets` of
/// PHP gives away half lines.
const PHP_SCRIPT: &str = r#"
while (($case = fgets(STDIN)) !== false) {
    $words = explode(' ', rtrim($case, "\n"));
    [$cut, $length] = [array_shift($words), (int) array_shift($words)];
    $ending = hex2bin(array_shift($words));
    [$here, $there] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    stream_set_blocking($here, false);
    $got = [];
    $take = function () use ($cut, $length, $ending, $here, &$got) {
        do {
            $piece = $cut == 'line'
                ? fgets($here, $length)
                : stream_get_line($here, $length, $ending);
            if ($piece !== false) { $got[] = '.' . bin2hex($piece); }
        } while ($piece !== false);
    };
    foreach ($words as $piece) {
        fwrite($there, hex2bin($piece));
        if ($cut == 'record') { $take(); }
    }
    fclose($there);
    $take();
    echo join(' ', array_merge(['='], $got)), "\n";
}
"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn lines_and_records_are_those_of_php() {
    let mut php = Peer::php(PHP_SCRIPT, &[]);
    for case in CASES {
        let (pieces, cut, expected) = case;
        let expected: Vec<Vec<u8>> = expected.iter().map(|e| e.as_bytes().to_vec()).collect();
        assert_eq!(ours(case), expected, "ours: {case:?}");

        let (what, length, ending) = match cut {
            Line(limit) => ("line", limit + 1, ""),
            Record(limit, ending) => ("record", *limit, *ending),
        };
        let pieces: String = pieces
            .iter()
            .map(|piece| format!(" {}", hex(piece.as_bytes())))
            .collect();
        php.tell(format!("{what} {length} {}{pieces}\n", hex(ending.as_bytes())).as_bytes());
        let line: Vec<String> = expected
            .iter()
            .map(|piece| format!(" .{}", hex(piece)))
            .collect();
        assert_eq!(php.line(), format!("={}", line.concat()), "PHP: {case:?}");
    }
}

/// PHP's gives the half line away (its behaviour reference, section 18, row 13).
#[test]
fn a_half_line_stays_until_it_is_whole() {
    let (mut here, mut there) = tcp_pair();
    here.set_read_timeout(Some(std::time::Duration::from_millis(20)));
    there.write_all(b"half").unwrap();
    let mut line = b"before:".to_vec();
    let error = here.read_line(&mut line, 99).unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(line, b"before:");
    assert_eq!(here.bytes_received(), 4);
    there.write_all(b" whole\n").unwrap();
    here.set_read_timeout(Some(crate::support::PATIENCE));
    assert!(here.read_line(&mut line, 99).unwrap());
    assert_eq!(line, b"before:half whole\n");
}

/// What was searched before is remembered for one ending, and not for another.
#[test]
fn an_ending_is_found_however_it_trickles_in() {
    let (mut here, mut there) = pair(Transport::Unix);
    here.set_blocking(false);
    let mut piece = Vec::new();
    let waits_for = |here: &mut Stream, ending: &[u8]| {
        let error = here.read_record(&mut Vec::new(), ending, 99).unwrap_err();
        assert_eq!(error.io_kind(), ErrorKind::WouldBlock);
    };
    there.write_all(b"one|").unwrap();
    waits_for(&mut here, b"||");
    waits_for(&mut here, b"|\n");
    there.write_all(b"\n").unwrap();
    waits_for(&mut here, b"||");
    assert!(here.read_record(&mut piece, b"\n", 99).unwrap());
    there.write_all(b"two|").unwrap();
    waits_for(&mut here, b"||");
    assert_eq!(here.read(&mut [0; 2]).unwrap(), 2);
    waits_for(&mut here, b"||");
    there.write_all(b"|").unwrap();
    assert!(here.read_record(&mut piece, b"||", 99).unwrap());
    assert_eq!(piece, b"one|o");
}

#[test]
fn a_line_may_be_long_and_its_limit_is_exact() {
    let (mut here, mut there) = pair(Transport::Unix);
    let mut long = noise(100_000, 9);
    long.retain(|byte| *byte != b'\n');
    long.push(b'\n');
    for limit in [usize::MAX, long.len(), long.len() - 1, 8192, 8193] {
        there.write_all(&long).unwrap();
        let mut line = Vec::new();
        assert!(here.read_line(&mut line, limit).unwrap());
        assert_eq!(line.len(), limit.min(long.len()));
        while !line.ends_with(b"\n") {
            assert!(here.read_line(&mut line, limit).unwrap());
        }
        assert!(line == long, "with limit {limit}");
    }
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let (mut here, _there) = pair(Transport::Unix);
    let sentence = "cannot read from an unnamed unix peer: the limit is 0 bytes";
    for error in [
        here.read_line(&mut Vec::new(), 0).unwrap_err(),
        here.read_record(&mut Vec::new(), b"|", 0).unwrap_err(),
    ] {
        assert_error(&error, Stage::Io, None, sentence);
    }
}

#[test]
fn a_line_ends_with_its_datagram() {
    let (mut here, mut there) = pair(Transport::Udg);
    for datagram in [&b"one\ntwo"[..], b"three", b"", b"four\n"] {
        there.write_all(datagram).unwrap();
    }
    for expected in [&b"one\n"[..], b"two", b"three", b"", b"four\n"] {
        assert_eq!(line_of(&mut here).unwrap(), expected);
    }
    there.write_all(b"a||b").unwrap();
    there.write_all(b"c||").unwrap();
    for expected in [&b"a"[..], b"b", b"c"] {
        let mut record = Vec::new();
        assert!(here.read_record(&mut record, b"||", 99).unwrap());
        assert_eq!(record, expected);
    }
}

#[test]
fn the_end_is_the_peers_orderly_one() {
    for (mut here, mut there) in [tcp_pair(), pair(Transport::Unix)] {
        assert!(!here.is_eof().unwrap(), "an idle peer");
        there.write_all(b"ab").unwrap();
        assert!(!here.is_eof().unwrap(), "unread bytes");
        there.shutdown(Shutdown::Write).unwrap();
        assert!(!here.is_eof().unwrap(), "unread bytes before the end");
        assert_eq!(here.read(&mut [0; 9]).unwrap(), 2);
        assert!(here.is_eof().unwrap());
        assert_eq!(here.read(&mut [0; 9]).unwrap(), 0);
        assert_eq!(line_of(&mut here), None);
        here.write_all(b"the other direction goes on").unwrap();
    }
}

#[test]
fn buffered_bytes_come_before_the_end() {
    let (mut here, mut there) = pair(Transport::Unix);
    there.write_all(b"one\ntwo").unwrap();
    drop(there);
    assert_eq!(line_of(&mut here).unwrap(), b"one\n");
    assert!(!here.is_eof().unwrap());
    assert_eq!(line_of(&mut here).unwrap(), b"two");
    assert!(here.is_eof().unwrap());
}

#[test]
fn a_direction_that_we_shut_is_at_its_end_once_what_has_come_is_read() {
    for (mut here, mut there) in [tcp_pair(), pair(Transport::Unix)] {
        there.write_all(b"one\ntwo").unwrap();
        here.shutdown(Shutdown::Read).unwrap();
        assert!(!here.is_eof().unwrap());
        assert_eq!(line_of(&mut here).unwrap(), b"one\n");
        assert_eq!(here.read(&mut [0; 9]).unwrap(), 3);
        assert!(here.is_eof().unwrap());
        assert_eq!(here.read(&mut [0; 9]).unwrap(), 0);
        here.write_all(b"x").unwrap();
        assert_eq!(there.read(&mut [0; 9]).unwrap(), 1);
    }
}

/// A way of reading, and the error that it ends with.
type Failing = fn(&mut Stream) -> Option<Error>;

#[test]
fn a_reset_is_told_by_every_way_of_reading() {
    child::run(Surroundings::Alone, || {
        let reads: [(&str, Failing); 4] = [
            ("is_eof", |s| s.is_eof().err()),
            ("peek", |s| s.peek(&mut [0; 9]).err()),
            ("read_line", |s| s.read_line(&mut Vec::new(), 9).err()),
            ("fill_buf", |s| {
                let error = s.fill_buf().err()?;
                error.into_inner()?.downcast().ok().map(|error| *error)
            }),
        ];
        for (name, read) in reads {
            let listener = listen("tcp://127.0.0.1:0?linger=0s");
            let mut client = crate::support::connect(listener.url());
            drop(accept(&listener));
            let error = read(&mut client).unwrap_or_else(|| panic!("{name} saw no reset"));
            let reason = "connection reset by peer (ECONNRESET)";
            let sentence = format!("cannot read from {listener}: {reason}");
            assert_error(&error, Stage::Io, Some(libc::ECONNRESET), &sentence);
        }
    });
}

#[test]
fn every_reader_of_std_works() {
    let (mut here, mut there) = pair(Transport::Unix);
    there.write_all(b"first\nsecond\n\nlast 123\xff").unwrap();
    drop(there);
    let mut text = String::new();
    Read::by_ref(&mut here)
        .take(6)
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "first\n");
    let mut bytes = Vec::new();
    here.read_until(b'\n', &mut bytes).unwrap();
    assert_eq!(bytes, b"second\n");
    assert_eq!(Read::by_ref(&mut here).lines().next().unwrap().unwrap(), "");
    assert_eq!(here.fill_buf().unwrap(), b"last 123\xff");
    here.consume(5);
    assert_eq!(here.fill_buf().unwrap(), b"123\xff");
    let mut rest = Vec::new();
    here.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"123\xff");
}

#[test]
fn what_is_peeked_at_stays() {
    for (mut here, mut there) in [tcp_pair(), pair(Transport::Unix), pair(Transport::Udg)] {
        there.write_all(b"hello\nworld").unwrap();
        let mut buffer = [0; 4];
        for _ in 0..2 {
            assert_eq!(here.peek(&mut buffer).unwrap(), 4);
            assert_eq!(&buffer, b"hell");
        }
        assert_eq!(here.bytes_received(), 0);
        assert_eq!(line_of(&mut here).unwrap(), b"hello\n");
        // Now from what is buffered.
        assert_eq!(here.peek(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer, b"worl");
        assert_eq!(line_of_length(&mut here, 5), b"world");
    }
}

fn line_of_length(stream: &mut Stream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Sends a byte out of band amid others, and prints the one it receives.
const PYTHON_URGENT: &str = r#"
import select, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.send(b"before")
s.send(b"!", socket.MSG_OOB)
s.send(b"after")
select.select([], [], [s])
print(s.recv(1, socket.MSG_OOB).decode(), s.recv(9).decode())
"#;

#[test]
fn an_urgent_byte_goes_past_the_others() {
    let listener = listen("tcp://127.0.0.1:0");
    let port = listener.local_addr().port().unwrap().to_string();
    let client = Peer::python(PYTHON_URGENT, &[&port]);
    let mut served = accept(&listener);
    let none = served.read_urgent().map_err(|error| error.errno());
    if none.is_err() {
        // It may have come already.
        assert_eq!(none, Err(Some(libc::EINVAL)));
        until("the urgent byte is there", || {
            served.read_urgent().is_ok_and(|byte| byte == b'!')
        });
    }
    assert_eq!(line_of_length(&mut served, 11), b"beforeafter");
    served.write_all(b"normal").unwrap();
    served.write_urgent(b'?').unwrap();
    assert_eq!(client.finish(), b"? normal\n");
}

#[test]
fn transports_without_urgent_bytes_say_so() {
    let mut stream = crate::support::connect(receive_on("udp://127.0.0.1:0").url());
    let error = stream.write_urgent(b'x').unwrap_err();
    let sentence = format!(
        "cannot write to {stream}: operation not supported on transport endpoint (EOPNOTSUPP)"
    );
    assert_error(&error, Stage::Io, Some(libc::EOPNOTSUPP), &sentence);
}
