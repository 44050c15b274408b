//! `cid:port`, the target of vsock.

use crate::address::VsockAddress;
use crate::nearest::suggestion;
use crate::printable::excerpt;

/// Reads a machine, by number or name, and a port, or `any`.
pub(super) fn parse(text: &str) -> Result<VsockAddress, String> {
    let (cid, port) = match text.split_once(':') {
        None | Some((_, "")) => return Err("the port is missing; write CID:PORT".to_owned()),
        Some(("", _)) => return Err("the CID is missing; write any, local or host".to_owned()),
        Some(parts) => parts,
    };
    Ok(VsockAddress {
        cid: parse_cid(cid)?,
        port: parse_port(port)?,
    })
}

fn parse_cid(text: &str) -> Result<u32, String> {
    let mut named = VsockAddress::NAMED.iter();
    if let Some((_, cid)) = named.find(|(name, _)| *name == text) {
        return Ok(*cid);
    }
    number(text).ok_or_else(|| {
        let names = VsockAddress::NAMED.map(|(name, _)| name);
        let mut hint = suggestion(text, names.iter().copied());
        if hint.is_empty() {
            hint = format!("; write a number, or {}", names.join(", "));
        }
        format!("{} is no CID{hint}", excerpt(text))
    })
}

fn parse_port(text: &str) -> Result<u32, String> {
    if text == "any" {
        return Ok(VsockAddress::PORT_ANY);
    }
    let reason = || format!("port {} is neither a number nor any", excerpt(text));
    number(text).ok_or_else(reason)
}

/// The greatest number is the one that `any` stands for.
fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    number.filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_printed() {
        for (text, cid, port, printed) in [
            (
                "any:any",
                VsockAddress::ANY,
                VsockAddress::PORT_ANY,
                "any:any",
            ),
            ("local:1024", 1, 1024, "local:1024"),
            ("2:0080", 2, 80, "host:80"),
            ("0:7", 0, 7, "hypervisor:7"),
            ("77:4294967294", 77, 4_294_967_294, "77:4294967294"),
        ] {
            let address = parse(text).unwrap();
            assert_eq!((address.cid, address.port), (cid, port), "{text}");
            assert_eq!(address.to_string(), printed);
            assert_eq!(parse(printed), Ok(address));
        }
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, reason) in [
            ("", "the port is missing; write CID:PORT"),
            ("3:", "the port is missing; write CID:PORT"),
            (":80", "the CID is missing; write any, local or host"),
            ("hots:80", "hots is no CID; did you mean \"host\"?"),
            (
                "-1:80",
                "-1 is no CID; write a number, or any, hypervisor, local, host",
            ),
            (
                "4294967295:80",
                "4294967295 is no CID; write a number, or any, hypervisor, local, host",
            ),
            ("3:http", "port http is neither a number nor any"),
            ("3:+1", "port +1 is neither a number nor any"),
            (
                "3:4294967296",
                "port 4294967296 is neither a number nor any",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), reason, "{text}");
        }
    }
}
