//! Headers of the PROXY protocol: read, written, and sent on new connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};

use ppp::{HeaderResult, PartialResult};
use proptest::collection::vec;
use proptest::prelude::*;
use stream_socket::{
    ConnectOptions, ProxyHeader, ProxyTls, ProxyVersion, SocketAddress, Stage, Stream, Tlv,
    UnixAddress,
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn v2(rest: &[u8]) -> Vec<u8> {
    [SIGNATURE, rest].concat()
}

/// Over IPv4 from 192.0.2.1:4321 to 203.0.113.7:443, with this command, family and what follows.
fn v2_v4(command: u8, family: u8, extensions: &[u8]) -> Vec<u8> {
    let length = 12 + extensions.len() as u16;
    let [high, low] = length.to_be_bytes();
    let fixed = [command, family, high, low];
    let addresses = [192, 0, 2, 1, 203, 0, 113, 7, 0x10, 0xe1, 0x01, 0xbb];
    v2(&[&fixed, &addresses[..], extensions].concat())
}

fn parse(bytes: &[u8]) -> (ProxyHeader, usize) {
    ProxyHeader::parse(bytes).unwrap().expect("it is complete")
}

fn ends(header: &ProxyHeader) -> String {
    let name = |end: &Option<SocketAddress>| {
        end.as_ref()
            .map_or("-".to_owned(), SocketAddress::to_string)
    };
    format!("{} {}", name(&header.source), name(&header.destination))
}

#[test]
fn headers_are_read_to_their_last_byte_and_no_further() {
    let unix = {
        let mut paths = [0; 216];
        paths[1..5].copy_from_slice(b"name");
        paths[108..114].copy_from_slice(b"/run/s");
        v2(&[&[0x21, 0x31, 0, 216][..], &paths].concat())
    };
    let v6: Vec<u8> = {
        let mut addresses = [0; 36];
        (addresses[15], addresses[31], addresses[33], addresses[35]) = (1, 2, 80, 81);
        v2(&[&[0x21, 0x21, 0, 36][..], &addresses].concat())
    };
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    for (bytes, expected) in [
        (
            b"PROXY TCP4 192.0.2.1 203.0.113.7 4321 443\r\n".to_vec(),
            "192.0.2.1:4321 203.0.113.7:443",
        ),
        (
            b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n".to_vec(),
            "[2001:db8::1]:65535 [::1]:0",
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), "- -"),
        (b"PROXY UNKNOWN ffff:: what ever\r\n".to_vec(), "- -"),
        (long.into_bytes(), "- -"),
        (v2_v4(0x21, 0x11, b""), "192.0.2.1:4321 203.0.113.7:443"),
        (v2_v4(0x21, 0x12, b""), "192.0.2.1:4321 203.0.113.7:443"),
        (
            v2_v4(0x21, 0x11, &[5, 0, 2, b'i', b'd']),
            "192.0.2.1:4321 203.0.113.7:443",
        ),
        (v2_v4(0x20, 0x11, b"whatever it is"), "- -"),
        (v2(&[0x20, 0, 0, 0]), "- -"),
        (v2(&[0x21, 0, 0, 3, 1, 2, 3]), "- -"),
        (v6, "[::1]:80 [::2]:81"),
        (unix, "@name /run/s"),
    ] {
        let (header, length) = parse(&[&bytes[..], b"PROXY and more"].concat());
        assert_eq!(length, bytes.len(), "{bytes:?}");
        assert_eq!(ends(&header), expected);
        for cut in 0..bytes.len() {
            let part = ProxyHeader::parse(&bytes[..cut]).unwrap();
            assert_eq!(part, None, "{:?}", &bytes[..cut]);
        }
    }
}

/// What begins a line and can be none of version 1, and why.
#[rustfmt::skip]
const BAD_LINES: &[(&[u8], &str)] = &[
    (b"GET / HTTP/1.1\r\n", "it begins with something else"),
    (b"proxy TCP4", "it begins with something else"),
    (b"\r\n\r\nx", "it begins with something else"),
    (b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n", "its protocol is none of TCP4, TCP6 and UNKNOWN"),
    (b"PROXY TCP4 ::1 1.1.1.1 1 1\r\n", "an address is none of its protocol"),
    (b"PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n", "an address is none of its protocol"),
    (b"PROXY TCP6 1.1.1.1 ::1 1 1\r\n", "an address is none of its protocol"),
    (b"PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n", "an address is none of its protocol"),
    (b"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n", "a port is no number from 0 to 65535"),
    (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n", "a port is no number from 0 to 65535"),
    (b"PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n", "a port is no number from 0 to 65535"),
    (b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", "it lacks an address or a port"),
    (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n", "something follows its last port"),
    (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", "its line does not end with CR LF"),
    (b"PROXY UNKNOWN\rx", "its line does not end with CR LF"),
    (b"PROXY \xff\r\n", "its line is no text"),
];

/// The same of version 2, after the signature.
#[rustfmt::skip]
const BAD_BLOCKS: &[(&[u8], &str)] = &[
    (&[0x31, 0x11, 0, 0], "its version and command are unknown"),
    (&[0x22, 0x11, 0, 0], "its version and command are unknown"),
    (&[0x21, 0x41, 0, 0], "its family or protocol is unknown"),
    (&[0x21, 0x13, 0, 0], "its family or protocol is unknown"),
    (&[0x21, 0x11, 0, 3, 1, 1, 1], "it is too short for its addresses"),
    (&[0x21, 0x11, 0, 14, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 5, 0],
        "an extension of it is cut short"),
    (&[0x21, 0x11, 0, 17, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 5, 0, 3, 1, 2],
        "an extension of it is cut short"),
    (&[0x21, 0x11, 0, 19, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 0, 4, 1, 2, 3, 4],
        "its checksum is wrong"),
    (&[0x21, 0x11, 0xff, 0xff], "it is longer than 4096 bytes"),
];

fn assert_refused(bytes: &[u8], reason: &str) {
    let error = ProxyHeader::parse(bytes).unwrap_err();
    assert_eq!((error.stage(), error.errno()), (Stage::Proxy, None));
    let sentence = format!("cannot parse a PROXY header: {reason}");
    assert_eq!(error.to_string(), sentence, "{bytes:?}");
}

#[test]
fn what_can_be_no_header_is_refused_at_once() {
    for (line, reason) in BAD_LINES {
        assert_refused(line, reason);
    }
    for (block, reason) in BAD_BLOCKS {
        assert_refused(&v2(block), reason);
    }
    let unix = v2(&[&[0x21, 0x31, 0, 216][..], &[b'x'; 216]].concat());
    assert_refused(&unix, "a path in it has a NUL byte or no end");
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 93]].concat();
    assert_refused(&long, "its line is longer than 107 bytes");
}

#[test]
fn a_checksum_is_verified_over_the_whole_header() {
    // As ppp, an implementation of its own, makes no checksums, this one is from the definition:
    // CRC-32C of the header with zeros in place of the four bytes.
    let zeroed = v2_v4(0x21, 0x11, &[3, 0, 4, 0, 0, 0, 0, 5, 0, 1, b'x']);
    let sum = crc32c_by_table(&zeroed).to_be_bytes();
    let mut good = zeroed.clone();
    good[31..35].copy_from_slice(&sum);
    assert_eq!(parse(&good).0.extension(3), Some(&sum[..]));
    for index in 16..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 0x10;
        let is_refused = ProxyHeader::parse(&bad).is_err();
        let hides_it = matches!(index, 28..31);
        assert!(is_refused || hides_it, "byte {index}");
    }
}

/// Another way to it than the library's: by a table of remainders.
fn crc32c_by_table(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| {
            (0..8).fold(byte, |sum, _| match sum & 1 {
                1 => (sum >> 1) ^ 0x82f6_3b78,
                _ => sum >> 1,
            })
        })
        .collect();
    let mut sum = u32::MAX;
    for byte in bytes {
        sum = table[usize::from(sum as u8 ^ byte)] ^ (sum >> 8);
    }
    !sum
}

#[test]
fn what_a_proxy_says_of_tls_is_understood() {
    let mut tls = ProxyTls::default();
    tls.version = Some("TLSv1.3".to_owned());
    tls.common_name = Some("client".to_owned());
    (tls.has_certificate, tls.is_verified) = (true, true);
    let mut header = ProxyHeader::new(ProxyVersion::V2, None, None);
    header.extensions = vec![tls.to_extension()];
    // Section 2.2.6: client, verify, and parts of their own.
    let expected = b"\x20\0\x18\x07\0\0\0\0\x21\0\x07TLSv1.3\x22\0\x06client";
    let bytes = header.to_bytes().unwrap();
    assert_eq!(&bytes[16..], expected);
    assert_eq!(parse(&bytes).0.tls(), Some(tls.clone()));
    for (value, expected) in [
        (&b"\x01\0\0\0\0"[..], Some(ProxyTls::default())),
        (b"\0\0\0\0\0", None),
        (b"\x01\0\0\0", None),
        (b"\x01\0\0\0\0\x21\0\x07TLS", None),
    ] {
        header.extensions = vec![Tlv::new(0x20, value)];
        assert_eq!(header.tls(), expected, "{value:?}");
    }
    tls.is_verified = false;
    header.extensions = vec![tls.to_extension()];
    assert_eq!(header.tls(), Some(tls));
}

#[test]
fn a_header_that_is_too_long_is_not_written() {
    let mut header = ProxyHeader::new(ProxyVersion::V2, None, None);
    header.extensions = vec![Tlv::new(0xe0, vec![0; 4077])];
    assert_eq!(header.to_bytes().unwrap().len(), 4096);
    header.extensions = vec![Tlv::new(0xe0, vec![0; 70_000])];
    let error = header.to_bytes().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot write a PROXY header: it has 70019 bytes, and 4096 are the limit"
    );
}

#[test]
fn ends_of_different_kinds_are_written_as_far_as_they_can_be() {
    let inet = |text: &str| Some(SocketAddress::from(text.parse::<SocketAddr>().unwrap()));
    let unix = |path: &str| Some(UnixAddress::from_path(path).unwrap().into());
    for (source, destination, v1, read_back) in [
        (
            inet("1.2.3.4:5"),
            inet("[::1]:6"),
            "PROXY TCP6 ::ffff:1.2.3.4 ::1 5 6\r\n",
            "[::ffff:1.2.3.4]:5 [::1]:6",
        ),
        (None, inet("1.2.3.4:5"), "PROXY UNKNOWN\r\n", "- -"),
        (None, unix("/a"), "PROXY UNKNOWN\r\n", "- /a"),
        (unix("/a"), inet("1.2.3.4:5"), "PROXY UNKNOWN\r\n", "- -"),
    ] {
        let mut header = ProxyHeader::new(ProxyVersion::V1, source, destination);
        assert_eq!(String::from_utf8(header.to_bytes().unwrap()).unwrap(), v1);
        header.version = ProxyVersion::V2;
        assert_eq!(ends(&parse(&header.to_bytes().unwrap()).0), read_back);
    }
}

fn any_address() -> impl Strategy<Value = Option<SocketAddress>> {
    prop_oneof![
        Just(None),
        any::<SocketAddr>().prop_map(|mut address| {
            if let SocketAddr::V6(v6) = &mut address {
                v6.set_scope_id(0);
                v6.set_flowinfo(0);
            }
            Some(address.into())
        }),
        "/[a-z]{1,100}".prop_map(|path| Some(UnixAddress::from_path(path).unwrap().into())),
    ]
}

fn any_header() -> impl Strategy<Value = ProxyHeader> {
    let extensions = vec((0xe0_u8..0xf0, vec(any::<u8>(), 0..40)), 0..4);
    (any_address(), any_address(), any::<bool>(), extensions).prop_map(
        |(source, destination, is_datagram, extensions)| {
            let mut header = ProxyHeader::new(ProxyVersion::V2, source, destination);
            header.is_datagram = is_datagram;
            let extensions = extensions.into_iter();
            header.extensions = extensions
                .map(|(kind, value)| Tlv::new(kind, value))
                .collect();
            header
        },
    )
}

proptest! {
    /// `ppp` is an implementation that is not ours.
    #[test]
    fn another_parser_reads_what_we_write(header in any_header(), is_v1 in any::<bool>()) {
        let mut header = header;
        if is_v1 {
            header.version = ProxyVersion::V1;
        }
        let bytes = header.to_bytes().unwrap();
        let (ours, length) = parse(&bytes);
        prop_assert_eq!(length, bytes.len());
        match HeaderResult::parse(&bytes) {
            HeaderResult::V1(theirs) => {
                let theirs = theirs.unwrap();
                prop_assert_eq!(theirs.header.as_bytes(), &bytes[..]);
            }
            HeaderResult::V2(theirs) => {
                let theirs = theirs.unwrap();
                prop_assert_eq!(theirs.as_bytes(), &bytes[..]);
                if ours.source.is_some() || ours.destination.is_some() {
                    let theirs: Vec<_> = theirs
                        .tlvs()
                        .map(|tlv| { let tlv = tlv.unwrap(); (tlv.kind, tlv.value.to_vec()) })
                        .collect();
                    let ours: Vec<_> =
                        ours.extensions.iter().map(|tlv| (tlv.kind, tlv.value.clone())).collect();
                    prop_assert_eq!(ours, theirs);
                }
            }
        }
    }

    /// Both take the same bytes for a header; but for the checksum and lengths, where we are
    /// stricter.
    #[test]
    fn another_parser_takes_no_more_for_a_header(
        header in any_header(), at in 12_usize..60, byte in any::<u8>(),
    ) {
        let mut bytes = header.to_bytes().unwrap();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        let theirs = HeaderResult::parse(&bytes);
        if let Ok(Some((_, length))) = ProxyHeader::parse(&bytes) {
            let HeaderResult::V2(Ok(theirs)) = theirs else {
                panic!("{bytes:?}: {theirs:?}")
            };
            prop_assert_eq!(theirs.as_bytes().len(), length);
        } else if theirs.is_incomplete() {
            let is_long = u16::from_be_bytes([bytes[14], bytes[15]]) > 4080;
            prop_assert!(ProxyHeader::parse(&bytes).is_ok() || is_long);
        }
    }
}

fn sending(version: ProxyVersion) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.send_proxy = Some(version);
    options
}

#[test]
fn a_connection_begins_with_the_header() {
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("tcp://{}", server.local_addr().unwrap());
        let mut stream = Stream::connect(&url, &sending(version)).unwrap();
        stream.write_all(b"and then").unwrap();
        assert_eq!(stream.bytes_sent(), 8);
        let local = stream.local_addr().unwrap();
        drop(stream);
        let (mut accepted, _) = server.accept().unwrap();
        let mut bytes = Vec::new();
        accepted.read_to_end(&mut bytes).unwrap();
        let (header, length) = parse(&bytes);
        assert_eq!(&bytes[length..], b"and then");
        assert_eq!(header.version, version);
        assert_eq!(header.source, local);
        assert_eq!(
            header.destination,
            Some(server.local_addr().unwrap().into())
        );
    }
}

#[test]
fn every_datagram_begins_with_the_header() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}", server.local_addr().unwrap());
    let mut options = sending(ProxyVersion::V2);
    let inet = |text: &str| Some(SocketAddress::from(text.parse::<SocketAddr>().unwrap()));
    let mut said = ProxyHeader::new(
        ProxyVersion::V2,
        inet("192.0.2.1:4321"),
        inet("203.0.113.7:443"),
    );
    said.is_datagram = true;
    options.proxied = Some(said);
    let mut stream = Stream::connect(&url, &options).unwrap();
    let mut bytes = [0; 100];
    for text in [&b"one"[..], b"", b"three"] {
        assert_eq!(stream.write(text).unwrap(), text.len());
        let length = server.recv(&mut bytes).unwrap();
        // The bytes of section 2.2, put together by hand.
        assert_eq!(&bytes[..length], [&v2_v4(0x21, 0x12, b""), text].concat());
    }
    options.send_proxy = Some(ProxyVersion::V1);
    let error = Stream::connect(&url, &options).unwrap_err();
    assert_eq!(error.stage(), Stage::Parse);
    assert!(
        error.reason().contains("made for streams; take v2"),
        "{error}"
    );
}
