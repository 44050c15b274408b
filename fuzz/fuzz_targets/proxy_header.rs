//! Headers of the PROXY protocol: what is understood is written so that it is understood again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_socket::ProxyHeader;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some((header, length))) = ProxyHeader::parse(bytes) else {
        return;
    };
    assert!(length <= bytes.len() && length <= 4096);
    _ = header.tls();
    let written = header.to_bytes().expect("what was read is short enough");
    let again = ProxyHeader::parse(&written).expect("it is a header");
    let (again, _) = again.expect("it is complete");
    // A checksum would have to be made anew, and what an unspecified family says is not kept.
    if !header.extensions.is_empty() && again.extensions != header.extensions {
        panic!("{header:?} became {again:?}");
    }
    assert_eq!(
        (&again.source, &again.destination),
        (&header.source, &header.destination)
    );
});
