//! What was typed: `bench-load MODE ADDRESS --flag VALUE...`.

use std::net::SocketAddrV4;
use std::str::FromStr;
use std::time::Duration;

use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) mode: String,
    pub(crate) address: SocketAddrV4,
    flags: Vec<(String, String)>,
}

impl Arguments {
    pub(crate) fn parse(words: &[String]) -> Result<Self, Failure> {
        let [mode, address, flags @ ..] = words else {
            return Err(Failure::new("a mode and an address are needed"));
        };
        let address = parse_address(address)?;
        let mut pairs = Vec::new();
        for pair in flags.chunks(2) {
            match pair {
                [name, value] if name.starts_with("--") => {
                    pairs.push((name.clone(), value.clone()));
                }
                _ => return Err(Failure::new(format!("`{}` needs a value", pair.join(" ")))),
            }
        }
        Ok(Self {
            mode: mode.clone(),
            address,
            flags: pairs,
        })
    }

    pub(crate) fn number<N: FromStr>(&self, name: &str) -> Result<N, Failure> {
        self.text(name)?
            .parse()
            .map_err(|_| Failure::new(format!("{name} needs a number")))
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Failure> {
        self.flags
            .iter()
            .find(|(flag, _)| flag == name)
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| Failure::new(format!("{name} is missing")))
    }

    pub(crate) fn address_of(&self, name: &str) -> Result<SocketAddrV4, Failure> {
        parse_address(self.text(name)?)
    }

    /// How long to work.
    pub(crate) fn span(&self) -> Result<Duration, Failure> {
        Ok(Duration::from_millis(self.number("--milliseconds")?))
    }
}

fn parse_address(text: &str) -> Result<SocketAddrV4, Failure> {
    text.parse()
        .map_err(|_| Failure::new(format!("`{text}` is no IPv4 address with a port")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, Failure> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn flags_are_pairs() {
        let arguments = parse("echo 127.0.0.1:7 --size 64 --milliseconds 250").unwrap();
        assert_eq!(arguments.number::<usize>("--size").unwrap(), 64);
        assert_eq!(arguments.span().unwrap(), Duration::from_millis(250));
        assert!(arguments.text("--gso").is_err());
    }

    #[test]
    fn half_a_command_line_is_refused() {
        for line in [
            "",
            "echo",
            "echo localhost:7",
            "echo 127.0.0.1:7 --size",
            "echo 127.0.0.1:7 a b",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
