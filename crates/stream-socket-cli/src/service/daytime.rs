//! RFC 867: the local time as a line of text.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

#[derive(Debug)]
pub(crate) struct Daytime {
    format: String,
    zone: TimeZone,
    /// The last line and its second: to make one takes longer than to send it.
    last: Mutex<Option<(i64, Arc<[u8]>)>>,
}

impl Daytime {
    /// The whole line as for strftime(3), in the zone that TZ or the system says.
    pub(crate) fn new(format: &str) -> Result<Self, String> {
        let zone = TimeZone::try_system().unwrap_or_else(|error| {
            tracing::warn!(reason = %error, "the time zone is not known, so it is UTC");
            TimeZone::UTC
        });
        let format = format.to_owned();
        strtime::format(&format, &Zoned::new(Timestamp::now(), zone.clone()))
            .map_err(|error| format!("--daytime-format is {format:?}: {error}"))?;
        let last = Mutex::default();
        Ok(Self { format, zone, last })
    }

    /// The line for this second, with its line feed.
    pub(super) fn line(&self) -> Arc<[u8]> {
        let now = Timestamp::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((second, line)) if *second == now.as_second() => Arc::clone(line),
            _ => {
                let line = Arc::from(self.line_at(now).into_bytes());
                *last = Some((now.as_second(), Arc::clone(&line)));
                line
            }
        }
    }

    fn line_at(&self, instant: Timestamp) -> String {
        let local = Zoned::new(instant, self.zone.clone());
        // A format that could be printed at the start can be printed later.
        let mut line = strtime::format(&self.format, &local).unwrap_or_default();
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::DAYTIME_FORMAT;

    #[test]
    fn the_line_is_that_of_phps_manual() {
        for (instant, expected) in [
            (
                "2026-11-22T14:06:00Z",
                "The local time is 11/22/2026 2:06 pm\n",
            ),
            (
                "2026-01-02T00:30:59Z",
                "The local time is 1/2/2026 12:30 am\n",
            ),
            (
                "2026-01-02T12:05:00Z",
                "The local time is 1/2/2026 12:05 pm\n",
            ),
        ] {
            let daytime = Daytime {
                format: DAYTIME_FORMAT.to_owned(),
                zone: TimeZone::UTC,
                last: Mutex::default(),
            };
            assert_eq!(daytime.line_at(instant.parse().unwrap()), expected);
        }
    }

    #[test]
    fn a_format_that_can_not_be_printed_is_refused() {
        assert!(Daytime::new("%F %T").is_ok());
        let refused = Daytime::new("%&").unwrap_err();
        assert!(
            refused.starts_with("--daytime-format is \"%&\": "),
            "{refused}"
        );
    }
}
