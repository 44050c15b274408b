//! Any bytes are an address in PHP's sense, of which nothing is lost, or one of PHP's errors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_socket::php::{self, PhpTarget, TargetKind};

fuzz_target!(|address: &[u8]| {
    let registered = [
        (b"tcp".as_slice(), TargetKind::Inet),
        (b"unix", TargetKind::Unix),
    ];
    match php::parse(address, &registered).map(|parsed| parsed.target) {
        Ok(PhpTarget::Inet(target)) => {
            assert!(!target.host.contains(&0));
            assert!(address.ends_with(&[target.port.text, target.port.ignored].concat()));
            assert_eq!(target.port.number, target.port.written as u16);
        }
        Ok(PhpTarget::Unix(target)) => {
            assert!(target.written.starts_with(target.name));
            assert!(target.name.len() <= target.limit());
        }
        Ok(_) => unreachable!("there are two kinds of targets"),
        Err(error) => assert!(!error.message().is_empty()),
    }
});
