//! What holds for every URL and every PHP address, tried with generated ones.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;

use proptest::prelude::*;
use stream_socket::php::{self, PhpTarget, TargetKind};
use stream_socket::{
    Host, Port, SocketAddress, SocketUrl, Stage, Target, Transport, UnixAddress, VsockAddress,
};

const REGISTERED: [(&[u8], TargetKind); 4] = [
    (b"tcp", TargetKind::Inet),
    (b"udp", TargetKind::Inet),
    (b"unix", TargetKind::Unix),
    (b"udg", TargetKind::Unix),
];

/// Text that is nearly a URL, so that many are accepted and the rest fail late.
fn url_like() -> impl Strategy<Value = String> {
    let host = r"[a-z0-9.]{0,12}|\[[0-9a-f:]{2,9}(%[a-z0-9]{1,3})?\]|\*|::1|[ -~]{0,9}";
    let inet = format!(r"((tcp|udp)://)?({host}):([0-9]{{0,6}}|[a-z-]{{1,9}}|[ -~]{{0,4}})");
    let unix = r"(unix|udg)://(@|%00|\x00)?([a-z/.:?#%]|%[0-9a-fA-F]{2}|\PC){0,40}";
    let other = r"((tls\+)?(vsock|fd|systemd))://([a-z0-9:*%]|\PC){0,12}";
    let query = r"(\?([a-z_]{1,3}=([a-z&?/]|%[0-9a-f]{2}){0,9}&?){0,3})?";
    let address = prop_oneof![proptest::string::string_regex(&inet).unwrap(), unix, other];
    (address, query).prop_map(|(address, query)| address + &query)
}

fn unix_address() -> impl Strategy<Value = UnixAddress> {
    prop_oneof![
        prop::collection::vec(1..=u8::MAX, 1..=107)
            .prop_map(|path| UnixAddress::from_path(std::ffi::OsStr::from_bytes(&path)).unwrap()),
        prop::collection::vec(any::<u8>(), 0..=107)
            .prop_map(|name| UnixAddress::from_abstract(name).unwrap()),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    let host = prop_oneof![
        "[!-~]{1,20}".prop_map(Host::Name),
        any::<std::net::Ipv4Addr>().prop_map(Host::V4),
        (any::<std::net::Ipv6Addr>(), prop::option::of("[!-~]{0,16}"))
            .prop_map(|(address, zone)| Host::V6 { address, zone }),
    ];
    let port = prop_oneof![
        any::<u16>().prop_map(Port::Number),
        "[a-z0-9-]{1,16}".prop_map(Port::Service),
    ];
    prop_oneof![
        (host, port).prop_map(|(host, port)| Target::Inet { host, port }),
        unix_address().prop_map(Target::Unix),
        Just(Target::Autobind),
        (any::<u32>(), any::<u32>())
            .prop_map(|(cid, port)| Target::Vsock(VsockAddress { cid, port })),
        any::<u32>().prop_map(Target::Descriptor),
        prop::option::of(".*").prop_map(Target::Activated),
    ]
}

fn check_text(text: &str) -> Result<(), TestCaseError> {
    match text.parse::<SocketUrl>() {
        Ok(url) => {
            let printed = url.to_string();
            prop_assert!(
                printed.bytes().all(|byte| byte.is_ascii_graphic()),
                "{printed:?}"
            );
            prop_assert_eq!(printed.parse::<SocketUrl>().unwrap(), url);
        }
        Err(error) => {
            prop_assert_eq!((error.stage(), error.errno()), (Stage::Parse, None));
            let sentence = error.to_string();
            prop_assert!(!sentence.contains(char::is_control), "{sentence:?}");
            prop_assert!(sentence.chars().count() < 600, "{sentence}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn an_accepted_url_prints_and_parses_back(text in url_like()) {
        check_text(&text)?;
    }

    #[test]
    fn any_text_is_accepted_or_refused_in_one_line(text in any::<String>()) {
        check_text(&text)?;
        check_text(&format!("unix://{text}"))?;
        check_text(&format!("h:1?key={text}"))?;
    }

    #[test]
    fn what_new_accepts_prints_and_parses_back(
        transport in prop::sample::select(Transport::ALL),
        target in target(),
    ) {
        if let Ok(url) = SocketUrl::new(transport, target.clone()) {
            prop_assert_eq!((url.transport(), url.target()), (transport, &target));
            prop_assert_eq!(url.to_string().parse::<SocketUrl>().unwrap(), url);
        }
    }

    #[test]
    fn any_unix_address_survives_the_way_through_a_url(address in unix_address()) {
        let url = SocketUrl::from_address(Transport::Udg, &address.clone().into()).unwrap();
        let parsed: SocketUrl = url.to_string().parse().unwrap();
        prop_assert_eq!(parsed.target(), &Target::Unix(address));
    }

    #[test]
    fn any_internet_address_survives_the_way_through_a_url(address in any::<SocketAddr>()) {
        let address = SocketAddress::from(address);
        let url = SocketUrl::from_address(Transport::Udp, &address).unwrap();
        prop_assert_eq!(url.to_string().parse::<SocketUrl>().unwrap(), url.clone());
        let SocketAddress::Inet(inet) = address else { unreachable!() };
        let Target::Inet { host, port } = url.target() else { unreachable!() };
        prop_assert_eq!(port, &Port::Number(inet.port()));
        match host {
            Host::V4(v4) => prop_assert_eq!(inet.ip(), *v4),
            Host::V6 { address, .. } => prop_assert_eq!(inet.ip(), *address),
            _ => prop_assert!(false, "an address became a name"),
        }
    }

    #[test]
    fn any_text_can_be_the_value_of_an_option(values in prop::collection::vec(".*", 1..4)) {
        let pairs: Vec<String> = values.iter().enumerate().map(|(index, value)| {
            let escaped: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            format!("k{index}={escaped}")
        }).collect();
        let url: SocketUrl = format!("tcp://h:1?{}", pairs.join("&")).parse().unwrap();
        prop_assert!(url.query().map(|(_, value)| value).eq(values.iter()));
        prop_assert_eq!(url.to_string().parse::<SocketUrl>().unwrap(), url);
    }

    #[test]
    fn what_we_accept_means_the_same_to_php(text in url_like()) {
        let Ok(url) = text.parse::<SocketUrl>() else { return Ok(()) };
        let Target::Inet { host, port: Port::Number(port) } = url.target() else { return Ok(()) };
        let printed = url.without_query().to_string();
        let address = php::parse(printed.as_bytes(), &REGISTERED).unwrap();
        prop_assert_eq!(address.transport, url.transport().name().as_bytes());
        let PhpTarget::Inet(target) = address.target else { unreachable!() };
        let host = host.to_string();
        prop_assert_eq!(target.host, host.trim_matches(['[', ']']).as_bytes());
        prop_assert_eq!(target.port.number, *port);
        prop_assert!(target.port.is_plain() && target.port.is_in_range());
    }

    #[test]
    fn any_bytes_are_taken_apart_as_php_would_without_loss(
        target in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..130),
            r"\[?[a-z0-9:.]{0,9}\]?:[ +-]?[0-9]{0,22}\PC{0,5}".prop_map(String::into_bytes),
        ],
    ) {
        if let Ok(inet) = php::inet_target(&target) {
            let (open, close) = if inet.bracketed { ("[", "]") } else { ("", "") };
            let (open, close) = (open.as_bytes(), close.as_bytes());
            let port = [inet.port.text, inet.port.ignored].concat();
            let whole = [open, inet.host, close, b":", &port];
            prop_assert_eq!(whole.concat(), &*target);
        }
        let unix = php::unix_target(&target);
        prop_assert!(target.starts_with(unix.name));
        prop_assert!(unix.name.len() <= unix.limit());
        prop_assert!(unix.is_abstract() || !unix.name.contains(&0));
        prop_assert_eq!(unix.truncated, target.len() > unix.limit());
    }
}
