//! `host:port` as PHP reads it: hardly judged, and the port by C's rules.
//!
//! Floor 1.

use super::PhpAddressError;

/// `host:port` as PHP reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct InetTarget<'a> {
    /// What goes to the resolver, without brackets; may be empty, or no host at all.
    pub host: &'a [u8],
    /// Whether the host stood in brackets.
    pub bracketed: bool,
    /// The port.
    pub port: PhpPort<'a>,
}

/// A port as PHP reads it: by C's atoi(3), then cut to 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PhpPort<'a> {
    /// The port that PHP uses.
    pub number: u16,
    /// The number that was written, before it was cut; the nearest `i64` where it has more digits,
    /// 0 where there is none.
    pub written: i64,
    /// The blanks, the sign and the digits that were read; empty where there is no number.
    pub text: &'a [u8],
    /// What follows the number, which PHP ignores.
    pub ignored: &'a [u8],
}

impl PhpPort<'_> {
    /// Whether a number was written and the port is that number: nothing was cut off it.
    pub fn is_in_range(&self) -> bool {
        !self.text.is_empty() && i64::from(self.number) == self.written
    }

    /// Whether a number was written in digits alone, without a blank or a sign.
    pub fn is_plain(&self) -> bool {
        self.text.first().is_some_and(u8::is_ascii_digit)
    }
}

/// Reads the target of an internet transport, which is what a registered transport is handed.
///
/// # Errors
///
/// A NUL byte anywhere; a bracket that is not closed right before a colon; no colon, or only one
/// at the very end.
pub fn inet_target(target: &[u8]) -> Result<InetTarget<'_>, PhpAddressError<'_>> {
    if target.contains(&0) {
        return Err(PhpAddressError::NulByte);
    }
    match target.strip_prefix(b"[") {
        // A bracket alone is no IPv6 address to PHP either.
        Some(inside) if !inside.is_empty() => bracketed_target(target, inside),
        _ => unbracketed_target(target),
    }
}

fn bracketed_target<'a>(
    target: &'a [u8],
    inside: &'a [u8],
) -> Result<InetTarget<'a>, PhpAddressError<'a>> {
    let error = PhpAddressError::Ipv6(target);
    let end = inside.iter().position(|byte| *byte == b']').ok_or(error)?;
    let port = inside[end + 1..].strip_prefix(b":").ok_or(error)?;
    Ok(InetTarget {
        host: &inside[..end],
        bracketed: true,
        port: port_of(port),
    })
}

fn unbracketed_target(target: &[u8]) -> Result<InetTarget<'_>, PhpAddressError<'_>> {
    match target.iter().position(|byte| *byte == b':') {
        Some(colon) if colon + 1 < target.len() => Ok(InetTarget {
            host: &target[..colon],
            bracketed: false,
            port: port_of(&target[colon + 1..]),
        }),
        _ => Err(PhpAddressError::Address(target)),
    }
}

/// Reads a number as atoi(3) does on a 64-bit Linux: blanks, a sign, digits, and then it stops.
///
/// There `atoi` is `strtol`, which stops at the ends of a 64-bit number, cut to 32 bits; PHP cuts
/// the rest of them to 16.
fn port_of(text: &[u8]) -> PhpPort<'_> {
    let blanks = text.iter().take_while(|byte| is_c_space(**byte)).count();
    let sign = text.get(blanks).filter(|byte| matches!(byte, b'+' | b'-'));
    let start = blanks + usize::from(sign.is_some());
    let digits = text[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let (mut written, mut end) = (0_i64, start);
    for digit in digits {
        let digit = i64::from(digit - b'0');
        let signed = if sign == Some(&b'-') { -digit } else { digit };
        written = written.saturating_mul(10).saturating_add(signed);
        end += 1;
    }
    let (text, ignored) = text.split_at(if end == start { 0 } else { end });
    PhpPort {
        number: (written & 0xffff) as u16,
        written,
        text,
        ignored,
    }
}

/// C's isspace(3); Rust's own notion of an ASCII blank lacks the vertical tab.
fn is_c_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_end_at_the_first_colon_or_bracket() {
        for (target, host, bracketed, port) in [
            ("127.0.0.1:80", "127.0.0.1", false, 80),
            ("[::1]:80", "::1", true, 80),
            ("[::1]:", "::1", true, 0),
            ("[]:5", "", true, 5),
            ("[127.0.0.1]:0", "127.0.0.1", true, 0),
            ("[fe80::1%eth0]:9", "fe80::1%eth0", true, 9),
            ("[[::1]:9", "[::1", true, 9),
            ("::1:80", "", false, 0),
            (":80", "", false, 80),
            ("*:80", "*", false, 80),
            ("user@h:80", "user@h", false, 80),
            (" h:80", " h", false, 80),
            ("h::", "h", false, 0),
        ] {
            let found = inet_target(target.as_bytes()).unwrap();
            let expected = (host.as_bytes(), bracketed, port);
            assert_eq!(
                (found.host, found.bracketed, found.port.number),
                expected,
                "{target}"
            );
        }
    }

    #[test]
    fn ports_are_read_by_atoi_and_cut_to_16_bits() {
        for (text, number, written, ignored, in_range, plain) in [
            ("80", 80, 80, "", true, true),
            ("00080x", 80, 80, "x", true, true),
            ("80/path?x", 80, 80, "/path?x", true, true),
            ("0x50", 0, 0, "x50", true, true),
            (" \u{b}\t80", 80, 80, "", true, false),
            ("+80", 80, 80, "", true, false),
            ("-1", 65535, -1, "", false, false),
            ("65536", 0, 65536, "", false, true),
            ("70000", 4464, 70000, "", false, true),
            ("4294967297", 1, 4_294_967_297, "", false, true),
            ("99999999999999999999", 65535, i64::MAX, "", false, true),
            ("-99999999999999999999", 0, i64::MIN, "", false, false),
            ("+-80", 0, 0, "+-80", false, false),
            ("http", 0, 0, "http", false, false),
            ("", 0, 0, "", false, false),
        ] {
            let port = port_of(text.as_bytes());
            assert_eq!((port.number, port.written), (number, written), "{text}");
            assert_eq!(port.ignored, ignored.as_bytes(), "{text}");
            assert_eq!(
                (port.is_in_range(), port.is_plain()),
                (in_range, plain),
                "{text}"
            );
            assert_eq!([port.text, port.ignored].concat(), text.as_bytes());
        }
    }
}
