//! The kinds of value that an option takes, and how each is written.

use std::path::PathBuf;
use std::time::Duration;

use super::tls::TlsIdentity;
use crate::error::{Error, Result as SocketResult, Stage};
use crate::printable::excerpt;
use crate::proxy_protocol::{ProxyReading, ProxyVersion};

/// What a span looks like, for the sentence that refuses one.
const SPAN: &str = "a span with its unit, as in 250ms, 2s, 5m or 1h, or never";

/// Reads a span of time as options write it: `250ms`, `2s`, `5m`, `1h`; `never` is
/// [`Duration::MAX`].
///
/// For a program's own settings, so that they are written as those of a URL are.
///
/// # Errors
///
/// At [`Stage::Parse`] for any other text.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(stream_socket::parse_span("250ms")?, Duration::from_millis(250));
/// assert!(stream_socket::parse_span("250").is_err());
/// # Ok::<(), stream_socket::Error>(())
/// ```
pub fn parse_span(text: &str) -> SocketResult<Duration> {
    let refused = || {
        Error::new(
            Stage::Parse,
            excerpt(text),
            format_args!("it is not {SPAN}"),
        )
    };
    span(text).ok_or_else(refused)
}

/// The kind of an option's value, as help texts name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `1` or `0`, `true` or `false`.
    Flag,
    /// A whole number.
    Count,
    /// A number of bytes: `65536`, `64KiB`, `4MiB`.
    Bytes,
    /// A span of time with its unit: `250ms`, `2s`, `5m`, `1h`; `never` for no limit.
    Span,
    /// Permission bits in octal: `0660`.
    Mode,
    /// Text.
    Text,
    /// The path of a file or a folder.
    Path,
    /// Words with commas between them: `h2,http/1.1`.
    List,
    /// One of a few words, which the option's help lists.
    Choice,
}

impl Kind {
    /// The word that stands for the value in a help text: `BYTES`.
    pub fn placeholder(self) -> &'static str {
        match self {
            Kind::Flag => "BOOL",
            Kind::Count => "COUNT",
            Kind::Bytes => "BYTES",
            Kind::Span => "SPAN",
            Kind::Mode => "MODE",
            Kind::Text => "TEXT",
            Kind::Path => "PATH",
            Kind::List => "LIST",
            Kind::Choice => "CHOICE",
        }
    }
}

/// A field whose value is one of a few words.
pub(crate) trait Choice: std::fmt::Debug {
    /// Takes the value of that word; whether there is one.
    fn choose(&mut self, word: &str) -> bool;

    fn is_set(&self) -> bool;

    /// The words, for the sentence that refuses another.
    fn expected(&self) -> &'static str;
}

impl Choice for Option<ProxyReading> {
    fn is_set(&self) -> bool {
        self.is_some()
    }

    fn choose(&mut self, word: &str) -> bool {
        *self = match word {
            "absent" => Some(ProxyReading::Absent),
            "required" => Some(ProxyReading::Required),
            _ => return false,
        };
        true
    }

    fn expected(&self) -> &'static str {
        "required or absent"
    }
}

impl Choice for Option<ProxyVersion> {
    fn choose(&mut self, word: &str) -> bool {
        let version = match word {
            "v1" => ProxyVersion::V1,
            "v2" => ProxyVersion::V2,
            _ => return false,
        };
        self.replace(version);
        true
    }

    fn is_set(&self) -> bool {
        self.is_some()
    }

    fn expected(&self) -> &'static str {
        "v1 or v2"
    }
}

/// A field of an options struct, by the kind of its value.
#[derive(Debug)]
pub(crate) enum Slot<'a> {
    Flag(&'a mut Option<bool>),
    Count(&'a mut Option<u32>),
    Bytes(&'a mut Option<usize>),
    Span(&'a mut Option<Duration>),
    Mode(&'a mut Option<u32>),
    Text(&'a mut Option<String>),
    Path(&'a mut Option<PathBuf>),
    List(&'a mut Vec<String>),
    /// Each a file, by its path.
    Identities(&'a mut Vec<TlsIdentity>),
    Choice(&'a mut dyn Choice),
}

impl Slot<'_> {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Slot::Flag(_) => Kind::Flag,
            Slot::Count(_) => Kind::Count,
            Slot::Bytes(_) => Kind::Bytes,
            Slot::Span(_) => Kind::Span,
            Slot::Mode(_) => Kind::Mode,
            Slot::Text(_) => Kind::Text,
            Slot::Path(_) => Kind::Path,
            Slot::List(_) | Slot::Identities(_) => Kind::List,
            Slot::Choice(_) => Kind::Choice,
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        match self {
            Slot::Flag(field) => field.is_some(),
            Slot::Count(field) | Slot::Mode(field) => field.is_some(),
            Slot::Bytes(field) => field.is_some(),
            Slot::Span(field) => field.is_some(),
            Slot::Text(field) => field.is_some(),
            Slot::Path(field) => field.is_some(),
            Slot::List(field) => !field.is_empty(),
            Slot::Identities(field) => !field.is_empty(),
            Slot::Choice(field) => field.is_set(),
        }
    }

    /// Reads `text` into the field; what was expected where it can't be.
    pub(crate) fn set(self, text: &str) -> Result<(), &'static str> {
        match self {
            Slot::Flag(field) => put(field, flag(text), "1, 0, true or false"),
            Slot::Count(field) => put(field, text.parse().ok(), "a whole number below 4294967296"),
            Slot::Bytes(field) => put(
                field,
                bytes(text),
                "a number of bytes, as in 65536 or 64KiB",
            ),
            Slot::Span(field) => put(field, span(text), SPAN),
            Slot::Mode(field) => put(field, mode(text), "permission bits in octal, as in 0660"),
            Slot::Text(field) => put(
                field,
                (!text.is_empty()).then(|| text.to_owned()),
                "text, but it is empty",
            ),
            Slot::Path(field) => put(
                field,
                (!text.is_empty()).then(|| PathBuf::from(text)),
                "a path, but it is empty",
            ),
            Slot::List(field) => match list(text) {
                Some(words) => {
                    *field = words;
                    Ok(())
                }
                None => Err("words with commas between them"),
            },
            Slot::Identities(field) => match list(text) {
                Some(paths) => {
                    *field = paths.into_iter().map(TlsIdentity::new).collect();
                    Ok(())
                }
                None => Err("paths with commas between them"),
            },
            Slot::Choice(field) => match field.choose(text) {
                true => Ok(()),
                false => Err(field.expected()),
            },
        }
    }
}

fn put<T>(
    field: &mut Option<T>,
    value: Option<T>,
    expected: &'static str,
) -> Result<(), &'static str> {
    if value.is_none() {
        return Err(expected);
    }
    *field = value;
    Ok(())
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn list(text: &str) -> Option<Vec<String>> {
    let words: Vec<String> = text.split(',').map(str::to_owned).collect();
    let are_words = words.iter().all(|word| !word.is_empty());
    are_words.then_some(words)
}

fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = split_unit(text);
    let factor = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

fn span(text: &str) -> Option<Duration> {
    if text == "never" {
        return Some(Duration::MAX);
    }
    let (number, unit) = split_unit(text);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

fn mode(text: &str) -> Option<u32> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| digits_only)?;
    (mode <= 0o777).then_some(mode)
}

fn split_unit(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, expected) in [
            ("250ms", Some(Duration::from_millis(250))),
            ("2s", Some(Duration::from_secs(2))),
            ("5m", Some(Duration::from_secs(300))),
            ("1h", Some(Duration::from_secs(3600))),
            ("never", Some(Duration::MAX)),
            ("0s", Some(Duration::ZERO)),
            ("2", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5s", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(span(text), expected, "{text}");
        }
    }

    #[test]
    fn bytes_and_modes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("64KiB", Some(65536)),
            ("1MiB", Some(1 << 20)),
            ("64k", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
        for (text, expected) in [
            ("0660", Some(0o660)),
            ("660", Some(0o660)),
            ("1777", None),
            ("+7", None),
            ("", None),
        ] {
            assert_eq!(mode(text), expected, "{text}");
        }
    }
}
