//! RFC 868: the seconds since 1900 as four bytes, most significant first.

use jiff::Timestamp;

/// Seconds from 1900 to 1970, as the RFC says.
const BEFORE_UNIX: i64 = 2_208_988_800;

pub(super) fn now() -> [u8; 4] {
    at(Timestamp::now())
}

/// In 2036 it begins at zero again, as the RFC's four bytes must.
fn at(instant: Timestamp) -> [u8; 4] {
    let seconds = instant.as_second() + BEFORE_UNIX;
    let [.., a, b, c, d] = seconds.to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_of_the_rfc() {
        for (instant, expected) in [
            ("1970-01-01T00:00:00Z", 2_208_988_800_u32),
            ("1976-01-01T00:00:00Z", 2_398_291_200),
            ("1983-05-01T00:00:00Z", 2_629_584_000),
            ("2036-02-07T06:28:15Z", u32::MAX),
            ("2036-02-07T06:28:16Z", 0),
        ] {
            let bytes = at(instant.parse().unwrap());
            assert_eq!(u32::from_be_bytes(bytes), expected, "{instant}");
        }
    }
}
