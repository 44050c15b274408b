//! Options from text: any query is either understood or refused in one sentence.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_socket::{ConnectOptions, ListenOptions, SocketUrl};

fuzz_target!(|query: &str| {
    let Ok(url) = format!("tcp://h:1?{query}").parse::<SocketUrl>() else {
        return;
    };
    let (mut listen, mut connect) = (ListenOptions::default(), ConnectOptions::default());
    for (name, value) in url.query() {
        for result in [listen.set(name, value), connect.set(name, value)] {
            let Err(error) = result else { continue };
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
});
