//! Any text is a URL that prints and parses back, or an error of one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_socket::SocketUrl;

fuzz_target!(|text: &str| match text.parse::<SocketUrl>() {
    Ok(url) => {
        let printed = url.to_string();
        assert!(
            printed.bytes().all(|byte| byte.is_ascii_graphic()),
            "{printed:?}"
        );
        assert_eq!(printed.parse::<SocketUrl>().unwrap(), url);
    }
    Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
});
