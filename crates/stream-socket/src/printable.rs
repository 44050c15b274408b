//! Text that came from outside, made fit for one line of an error or a log.
//!
//! Floor 0. Control characters could forge a second line or drive a terminal, and invisible ones
//! could hide what was typed; both are shown as escapes. Everything else is shown as it is.

use std::fmt::{self, Write};

/// How many characters of the input an error repeats; the rest becomes `…`.
const EXCERPT_CHARACTERS: usize = 120;

/// All of `bytes` on one line; bytes that are not UTF-8 appear as `\xff`.
pub(crate) fn printable(bytes: &[u8]) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        for chunk in bytes.utf8_chunks() {
            chunk
                .valid()
                .chars()
                .try_for_each(|c| write_character(f, c))?;
            chunk
                .invalid()
                .iter()
                .try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    })
}

/// The text of a URL as it may be repeated: without a password that stands in it.
pub(crate) fn without_password(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    match text[start..].rsplit_once('@') {
        Some((_, address)) => format!("{}***@{address}", &text[..start]),
        None => text.to_owned(),
    }
}

/// The beginning of `text` on one line, short enough to stand in a sentence.
pub(crate) fn excerpt(text: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        if text.is_empty() {
            return f.write_str("\"\"");
        }
        let mut characters = text.chars();
        characters
            .by_ref()
            .take(EXCERPT_CHARACTERS)
            .try_for_each(|c| write_character(f, c))?;
        if characters.next().is_some() {
            f.write_char('…')
        } else {
            Ok(())
        }
    })
}

fn write_character(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    if c.is_control() || is_invisible(c) {
        write!(f, "{}", c.escape_debug())
    } else {
        f.write_char(c)
    }
}

/// Zero-width characters, line and paragraph separators, and marks that reorder text.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_disturb_a_line_is_escaped() {
        for (bytes, expected) in [
            (b"/run/a b\"'\\".as_slice(), "/run/a b\"'\\"),
            (b"a\nb\0c\x1b[2J", r"a\nb\0c\u{1b}[2J"),
            ("é\u{202e}x".as_bytes(), r"é\u{202e}x"),
            (b"\xff/x", r"\xff/x"),
        ] {
            assert_eq!(printable(bytes).to_string(), expected);
        }
    }

    #[test]
    fn an_excerpt_is_short_and_never_blank() {
        assert_eq!(excerpt("").to_string(), "\"\"");
        assert_eq!(excerpt("tcp://h:1").to_string(), "tcp://h:1");
        assert_eq!(excerpt(&"x".repeat(120)).to_string(), "x".repeat(120));
        assert_eq!(excerpt(&"é".repeat(121)).to_string(), "é".repeat(120) + "…");
    }
}
