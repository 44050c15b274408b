//! Just enough JSON to write results down: xtask has no dependencies.

use std::fmt::{self, Display, Formatter, Write};

#[derive(Debug)]
pub(super) enum Json {
    Null,
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Json::Text(text.into())
    }

    pub(super) fn list<T>(items: &[T], to_json: impl Fn(&T) -> Json) -> Self {
        Json::List(items.iter().map(to_json).collect())
    }

    pub(super) fn words(words: &[String]) -> Self {
        Json::list(words, |word| Json::text(word.as_str()))
    }

    pub(super) fn option<T>(item: Option<T>, to_json: impl Fn(T) -> Json) -> Self {
        item.map_or(Json::Null, to_json)
    }
}

impl Display for Json {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Json::Number(number) if number.is_finite() => write!(formatter, "{number}"),
            // JSON has neither NaN nor infinity.
            Json::Null | Json::Number(_) => formatter.write_str("null"),
            Json::Text(text) => write_text(formatter, text),
            Json::List(items) => {
                formatter.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    separate(formatter, index)?;
                    write!(formatter, "{item}")?;
                }
                formatter.write_char(']')
            }
            Json::Object(members) => {
                formatter.write_char('{')?;
                for (index, (name, value)) in members.iter().enumerate() {
                    separate(formatter, index)?;
                    write_text(formatter, name)?;
                    write!(formatter, ": {value}")?;
                }
                formatter.write_char('}')
            }
        }
    }
}

fn separate(formatter: &mut Formatter<'_>, index: usize) -> fmt::Result {
    if index == 0 {
        Ok(())
    } else {
        formatter.write_str(", ")
    }
}

/// RFC 8259 section 7.
fn write_text(formatter: &mut Formatter<'_>, text: &str) -> fmt::Result {
    formatter.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(formatter, "\\{character}")?,
            '\n' => formatter.write_str("\\n")?,
            control if control < ' ' => write!(formatter, "\\u{:04x}", u32::from(control))?,
            other => formatter.write_char(other)?,
        }
    }
    formatter.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_rfc_has_them() {
        let value = Json::Object(vec![
            ("name", Json::text("a \"b\" \\ \n\u{1}é")),
            (
                "runs",
                Json::list(&[1.5, f64::NAN, 1e9], |number| Json::Number(*number)),
            ),
            ("none", Json::option(None::<f64>, Json::Number)),
            ("empty", Json::words(&[])),
        ]);
        assert_eq!(
            value.to_string(),
            "{\"name\": \"a \\\"b\\\" \\\\ \\n\\u0001é\", \"runs\": [1.5, null, 1000000000], \
             \"none\": null, \"empty\": []}"
        );
    }
}
