//! The host of an internet target: a name, an IPv4 address, or an IPv6 address in brackets.
//!
//! Floor 1. A name is judged by its spelling alone; whether it exists is the resolver's to say.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::error::{Error, Result, Stage};
use crate::printable::excerpt;

/// The longest name and label of the domain name system, without the dot that may end a name
/// ([RFC 1035 section 2.3.4](https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4)).
const NAME_BYTES: usize = 253;
const LABEL_BYTES: usize = 63;

/// Linux's `IFNAMSIZ` less its NUL
/// ([netdevice(7)](https://man7.org/linux/man-pages/man7/netdevice.7.html)).
const ZONE_BYTES: usize = 15;

/// The host in `tcp://host:port`.
///
/// [`Display`](fmt::Display) prints it as it stands in a URL: IPv6 in brackets, the zone after a
/// bare `%`, as people type it ([RFC 9844](https://www.rfc-editor.org/rfc/rfc9844)).
///
/// # Examples
///
/// ```
/// use stream_socket::Host;
///
/// assert_eq!("localhost".parse::<Host>()?, Host::Name("localhost".to_owned()));
/// assert_eq!("[fe80::1%eth0]".parse::<Host>()?.to_string(), "[fe80::1%eth0]");
/// assert!("256.1.1.1".parse::<Host>().is_err());
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Host {
    /// A name for the resolver, as typed: at most 253 characters in labels of at most 63
    /// ([RFC 1035 section 2.3.4](https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4)), of those
    /// that a URL's host may hold unescaped
    /// ([RFC 3986 section 3.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2)). A dot may
    /// end it. The last label is never a number
    /// ([RFC 3696 section 2](https://www.rfc-editor.org/rfc/rfc3696#section-2)).
    Name(String),
    /// Four decimal numbers.
    V4(Ipv4Addr),
    /// An IPv6 address
    /// ([RFC 4291 section 2.2](https://www.rfc-editor.org/rfc/rfc4291#section-2.2)).
    V6 {
        /// The address itself.
        address: Ipv6Addr,
        /// The name or the number of the interface that a link-local address belongs to
        /// ([RFC 4007 section 11](https://www.rfc-editor.org/rfc/rfc4007#section-11)).
        zone: Option<String>,
    },
}

impl Host {
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        if let Some(rest) = text.strip_prefix('[') {
            let inside = rest
                .strip_suffix(']')
                .ok_or("the bracket [ is never closed")?;
            return parse_v6(inside);
        }
        if let Ok(address) = text.parse() {
            return Ok(Host::V4(address));
        }
        check_name(text)?;
        Ok(Host::Name(text.to_owned()))
    }

    /// Whether a value put together by hand is one that [`parse`](Self::parse) could have made.
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        match self {
            Host::Name(name) => check_name(name),
            Host::V6 {
                zone: Some(zone), ..
            } => check_zone(zone),
            Host::V4(_) | Host::V6 { zone: None, .. } => Ok(()),
        }
    }
}

fn parse_v6(inside: &str) -> std::result::Result<Host, String> {
    let (address, zone) = match inside.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (inside, None),
    };
    let address = address.parse().map_err(|_| {
        format!(
            "[{}] is not an IPv6 address; only those take brackets",
            excerpt(inside)
        )
    })?;
    zone.map_or(Ok(()), check_zone)?;
    Ok(Host::V6 {
        address,
        zone: zone.map(str::to_owned),
    })
}

fn check_zone(zone: &str) -> std::result::Result<(), String> {
    if zone.is_empty() {
        Err("the zone after % is missing".to_owned())
    } else if zone.len() > ZONE_BYTES {
        Err(format!(
            "zone {} is longer than {ZONE_BYTES} characters",
            excerpt(zone)
        ))
    } else {
        check_characters("a zone", zone)
    }
}

fn check_name(name: &str) -> std::result::Result<(), String> {
    match name {
        "" => return Err("the host is missing".to_owned()),
        "*" => return Err("* is not a host; write 0.0.0.0 or [::] for every address".to_owned()),
        _ => check_characters("a host name", name)?,
    }
    let undotted = name.strip_suffix('.').unwrap_or(name);
    check_lengths(undotted)?;
    let last = undotted.rsplit('.').next().unwrap_or(undotted);
    if is_number(last) {
        return Err(format!(
            "{} is neither an IPv4 address, which is four numbers up to 255, nor a host name",
            excerpt(name)
        ));
    }
    Ok(())
}

fn check_lengths(name: &str) -> std::result::Result<(), String> {
    if name.len() > NAME_BYTES {
        let length = name.len();
        return Err(format!(
            "the host name has {length} characters; the limit is {NAME_BYTES}"
        ));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(
                "the host name has nothing between two dots or before the first".to_owned(),
            );
        }
        if label.len() > LABEL_BYTES {
            let length = label.len();
            return Err(format!(
                "a part of the host name has {length} characters; the limit is {LABEL_BYTES}"
            ));
        }
    }
    Ok(())
}

fn check_characters(what: &str, text: &str) -> std::result::Result<(), String> {
    match text.chars().find(|c| !is_name_character(*c)) {
        None => Ok(()),
        Some(c) if c.is_whitespace() && !c.is_control() => {
            Err(format!("{what} cannot contain a blank"))
        }
        Some(c) if !c.is_ascii() => Err(format!(
            "{what} cannot contain {}; write international names in their xn-- form",
            excerpt(c.encode_utf8(&mut [0; 4]))
        )),
        Some(c) => Err(format!(
            "{what} cannot contain {}",
            excerpt(c.encode_utf8(&mut [0; 4]))
        )),
    }
}

/// RFC 3986's `unreserved` and `sub-delims`: what a registered name may hold unescaped.
fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c)
}

/// A label that inet_aton(3), and with it the resolver, would read as a part of an IPv4 address.
fn is_number(label: &str) -> bool {
    match label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"))
    {
        Some(hexadecimal) => hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(address) => write!(f, "{address}"),
            Host::V6 {
                address,
                zone: None,
            } => write!(f, "[{address}]"),
            Host::V6 {
                address,
                zone: Some(zone),
            } => write!(f, "[{address}%{zone}]"),
        }
    }
}

/// A host as it stands in a URL, with the brackets of an IPv6 address.
///
/// # Errors
///
/// [`Stage::Parse`] for what is no host; the sentence names the offending part.
impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text).map_err(|reason| Error::new(Stage::Parse, excerpt(text), reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart_and_print_as_typed() {
        let longest = [
            &*"a".repeat(63),
            &*"b".repeat(63),
            &*"c".repeat(63),
            &*"d".repeat(61),
        ];
        for text in [
            "localhost",
            "example.org.",
            "a_b-c",
            "1.2.3.x",
            "3com",
            "0xg",
            "xn--bcher-kva.example",
            &longest.join("."),
        ] {
            assert_eq!(Host::parse(text), Ok(Host::Name(text.to_owned())));
            assert_eq!(text.parse::<Host>().unwrap().to_string(), text);
        }
        assert_eq!(Host::parse("0.0.0.0"), Ok(Host::V4(Ipv4Addr::UNSPECIFIED)));
        for (text, zone, printed) in [
            ("[::1]", None, "[::1]"),
            ("[0:0::1]", None, "[::1]"),
            ("[fe80::1%eth0]", Some("eth0"), "[fe80::1%eth0]"),
            ("[::ffff:1.2.3.4%2]", Some("2"), "[::ffff:1.2.3.4%2]"),
        ] {
            let host = Host::parse(text).unwrap();
            assert!(
                matches!(&host, Host::V6 { zone: z, .. } if z.as_deref() == zone),
                "{text}"
            );
            assert_eq!(host.to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "the host is missing"),
            (
                "*",
                "* is not a host; write 0.0.0.0 or [::] for every address",
            ),
            ("a b", "a host name cannot contain a blank"),
            ("a\tb", r"a host name cannot contain \t"),
            ("a\0", r"a host name cannot contain \0"),
            ("user@h", "a host name cannot contain @"),
            ("h/p", "a host name cannot contain /"),
            ("h#", "a host name cannot contain #"),
            ("h?", "a host name cannot contain ?"),
            ("h:1", "a host name cannot contain :"),
            ("h]", "a host name cannot contain ]"),
            ("h%41", "a host name cannot contain %"),
            (
                "b\u{fc}cher",
                "a host name cannot contain ü; write international names in their xn-- form",
            ),
            (
                "a..b",
                "the host name has nothing between two dots or before the first",
            ),
            (
                ".",
                "the host name has nothing between two dots or before the first",
            ),
            ("[::1", "the bracket [ is never closed"),
            (
                "[]",
                "[\"\"] is not an IPv6 address; only those take brackets",
            ),
            (
                "[1.2.3.4]",
                "[1.2.3.4] is not an IPv6 address; only those take brackets",
            ),
            ("[fe80::1%]", "the zone after % is missing"),
            ("[fe80::1%a/b]", "a zone cannot contain /"),
            (
                "[fe80::1%abcdefghijklmnop]",
                "zone abcdefghijklmnop is longer than 15 characters",
            ),
        ] {
            assert_eq!(Host::parse(text), Err(reason.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn almost_ipv4_never_reaches_a_resolver() {
        for text in [
            "1.2.3",
            "256.1.1.1",
            "0x7f.1",
            "0x7f000001",
            "0",
            "010.0.0.1",
            "127.0.0.1.",
            "a.7",
            "0x",
        ] {
            let reason = Host::parse(text).unwrap_err();
            assert!(
                reason.contains("neither an IPv4 address"),
                "{text}: {reason}"
            );
        }
    }

    #[test]
    fn names_and_labels_have_limits() {
        let label = Host::parse(&"a".repeat(64)).unwrap_err();
        assert_eq!(
            label,
            "a part of the host name has 64 characters; the limit is 63"
        );
        let name = Host::parse(&"a.".repeat(127)).unwrap();
        assert_eq!(name.to_string().len(), 254, "253 and the dot that ends it");
        let name = Host::parse(&"ab.".repeat(85)).unwrap_err();
        assert_eq!(name, "the host name has 254 characters; the limit is 253");
    }
}
