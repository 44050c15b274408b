//! The query of a URL: `?key=value&key=value`, percent-decoded into ordered pairs.
//!
//! Floor 1. Which keys exist, and what their values mean, is judged by the options, on floor 2.

use std::fmt;

use super::percent;
use crate::printable::excerpt;

/// What stands unescaped in a value, besides letters, digits and `-._~`. All of it is allowed by
/// RFC 3986 section 3.4; `+` is missing since other software reads it as a blank.
const PLAIN_IN_VALUE: &[u8] = b"/:@,;!$'()*=";

/// Options in the order in which they were written, no key twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what follows the `?`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("no option follows the ?; write %3F for a ? in a path".to_owned());
        }
        let mut pairs = Vec::new();
        for pair in text.split('&') {
            let (key, value) = parse_pair(pair)?;
            if pairs.iter().any(|(earlier, _)| earlier == key) {
                return Err(format!("option {} is given twice", excerpt(key)));
            }
            pairs.push((key.to_owned(), value));
        }
        Ok(Self(pairs))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn parse_pair(pair: &str) -> Result<(&str, String), String> {
    if pair.is_empty() {
        return Err("an option between ? and & is empty".to_owned());
    }
    let Some((key, value)) = pair.split_once('=') else {
        let pair = excerpt(pair);
        return Err(format!("option {pair} has no value; write {pair}=value"));
    };
    if key.is_empty() {
        return Err(format!("={} has no option before it", excerpt(value)));
    }
    if !key
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    {
        return Err(format!("{} is not the name of an option", excerpt(key)));
    }
    let value = percent::decode(value).map_err(|reason| format!("option {key}: {reason}"))?;
    let value =
        String::from_utf8(value).map_err(|_| format!("the value of option {key} is not UTF-8"))?;
    Ok((key, value))
}

/// With its `?`, or nothing when there are no options.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separators = std::iter::once('?').chain(std::iter::repeat('&'));
        self.iter()
            .zip(separators)
            .try_for_each(|((key, value), separator)| {
                write!(
                    f,
                    "{separator}{key}={}",
                    percent::encode(value.as_bytes(), PLAIN_IN_VALUE)
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_their_order_and_print_again() {
        for (text, pairs, printed) in [
            ("b=1&a=2", vec![("b", "1"), ("a", "2")], "?b=1&a=2"),
            ("key=", vec![("key", "")], "?key="),
            ("k=a=b", vec![("k", "a=b")], "?k=a=b"),
            ("k=%26%3d+?", vec![("k", "&=+?")], "?k=%26=%2B%3F"),
            (
                "a.b-c_D9=/x:1@y",
                vec![("a.b-c_D9", "/x:1@y")],
                "?a.b-c_D9=/x:1@y",
            ),
            ("k=%C3%A9%00", vec![("k", "é\0")], "?k=%C3%A9%00"),
        ] {
            let query = Query::parse(text).unwrap();
            assert_eq!(query.iter().collect::<Vec<_>>(), pairs);
            assert_eq!(query.to_string(), printed);
            assert_eq!(Query::parse(&printed[1..]), Ok(query));
        }
        assert_eq!(Query::default().to_string(), "");
    }

    #[test]
    fn malformed_queries_are_refused_with_their_reason() {
        for (text, reason) in [
            ("", "no option follows the ?; write %3F for a ? in a path"),
            ("&", "an option between ? and & is empty"),
            ("a=1&", "an option between ? and & is empty"),
            ("=1", "=1 has no option before it"),
            (
                "nodelay",
                "option nodelay has no value; write nodelay=value",
            ),
            ("a=1&b=2&a=1", "option a is given twice"),
            ("a%62=1", "a%62 is not the name of an option"),
            ("a b=1", "a b is not the name of an option"),
            (
                "a=%f",
                "option a: %f is not an escape; write %25 for a percent sign",
            ),
            ("a=%ff", "the value of option a is not UTF-8"),
            (
                "a=\0",
                "option a: a control character has to be escaped; write %00",
            ),
        ] {
            assert_eq!(Query::parse(text), Err(reason.to_owned()), "{text:?}");
        }
    }
}
