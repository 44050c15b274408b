//! Percent-encoding ([RFC 3986 section 2.1](https://www.rfc-editor.org/rfc/rfc3986#section-2.1)):
//! bytes that a URL cannot hold as they are.
//!
//! Floor 1. Decoding is strict, which is why no crate does it: a `%` that begins no escape and a
//! bare control character are errors. `+` is itself, not a blank.

use std::fmt::{self, Write};

use crate::printable::excerpt;

/// The bytes that `text` stands for, or the reason why it stands for none.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        decoded.push(match byte {
            b'%' => {
                let escaped = escaped_byte(rest).ok_or_else(|| malformed(rest))?;
                rest = &rest[2..];
                escaped
            }
            0..0x20 | 0x7f => return Err(bare_control(byte)),
            _ => byte,
        });
    }
    Ok(decoded)
}

fn escaped_byte(after_percent: &[u8]) -> Option<u8> {
    let digit = |index| char::from(*after_percent.get(index)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

fn malformed(after_percent: &[u8]) -> String {
    let text = String::from_utf8_lossy(after_percent);
    let shown: String = text.chars().take(2).collect();
    format!(
        "{} is not an escape; write %25 for a percent sign",
        excerpt(&format!("%{shown}"))
    )
}

fn bare_control(byte: u8) -> String {
    format!("a control character has to be escaped; write %{byte:02X}")
}

/// `bytes` with all but letters, digits, `-._~` and those in `plain` escaped.
pub(super) fn encode(bytes: &[u8], plain: &'static [u8]) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        bytes.iter().try_for_each(|&byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || plain.contains(&byte) {
                f.write_char(char::from(byte))
            } else {
                write!(f, "%{byte:02X}")
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_bytes() {
        for (text, bytes) in [
            ("", b"".as_slice()),
            ("a%20b", b"a b"),
            ("%3f%3F", b"??"),
            ("%00%ff", b"\0\xff"),
            ("%2541", b"%41"),
            ("a+b c", b"a+b c"),
            ("é", "é".as_bytes()),
        ] {
            assert_eq!(decode(text).as_deref(), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn malformed_escapes_and_bare_controls_are_refused() {
        for (text, reason) in [
            ("%", "% is not an escape; write %25 for a percent sign"),
            ("100%", "% is not an escape; write %25 for a percent sign"),
            ("a%4", "%4 is not an escape; write %25 for a percent sign"),
            ("%zz9", "%zz is not an escape; write %25 for a percent sign"),
            ("%1g", "%1g is not an escape; write %25 for a percent sign"),
            ("%+1", "%+1 is not an escape; write %25 for a percent sign"),
            (
                "%\u{e9}",
                "%é is not an escape; write %25 for a percent sign",
            ),
            ("a\nb", "a control character has to be escaped; write %0A"),
            ("\x7f", "a control character has to be escaped; write %7F"),
        ] {
            assert_eq!(decode(text), Err(reason.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn every_byte_survives_the_way_through() {
        let all: Vec<u8> = (0..=255).collect();
        let encoded = encode(&all, b"/:@").to_string();
        assert_eq!(decode(&encoded), Ok(all));
        assert_eq!(encode(b"/a b@\xff", b"/").to_string(), "/a%20b%40%FF");
    }
}
