//! Whether a line is the one expected, although its clock may have gone on.

/// A line that one client of the server was told before.
#[derive(Debug)]
pub(crate) struct Sample(Vec<u8>);

impl Sample {
    pub(crate) fn new(line: &[u8]) -> Self {
        Self(line.to_vec())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The same but for its numbers and for am and pm.
    pub(crate) fn is_like(&self, line: &[u8]) -> bool {
        self.0 == line || shape(&self.0).eq(shape(line))
    }
}

/// The line with `0` for each number and `_m` for `am` and `pm`.
fn shape(line: &[u8]) -> impl Iterator<Item = u8> {
    let mut previous = 0;
    line.iter().enumerate().filter_map(move |(index, byte)| {
        let follows_number = previous == b'0';
        previous = match byte {
            b'0'..=b'9' if follows_number => return None,
            b'0'..=b'9' => b'0',
            b'a' | b'p' if line.get(index + 1) == Some(&b'm') => b'_',
            other => *other,
        };
        Some(previous)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clock_may_differ() {
        let sample = Sample::new(b"The local time is 11/9/2026 9:59 am\n");
        for (line, expected) in [
            (&b"The local time is 11/9/2026 9:59 am\n"[..], true),
            (b"The local time is 11/10/2026 12:00 pm\n", true),
            (b"The local time is 11/9/2026 9:59 am", false),
            (b"The local time is 11/9/2026 am\n", false),
            (b"The local fish is 11/9/2026 9:59 am\n", false),
            (b"", false),
        ] {
            assert_eq!(sample.is_like(line), expected, "{}", line.escape_ascii());
        }
    }
}
