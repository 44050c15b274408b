//! The log on standard error: short lines for people, or one JSON object a line.

mod writer;

use std::fmt;
use std::time::Duration;

use jiff::Zoned;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, fmt};
use tracing_subscriber::registry::LookupSpan;

use self::writer::Lines;
use crate::args::{LogFormat, Messages};

/// Sends what is logged from now on to standard error.
pub(crate) fn init(messages: Messages) {
    let level = if messages.is_quiet {
        Level::ERROR
    } else {
        Level::INFO
    };
    let builder = fmt()
        .with_max_level(level)
        .with_writer(Lines::new(messages.format))
        // It would be written to standard error, and panic where that has been closed.
        .log_internal_errors(false);
    match messages.format {
        LogFormat::Text => builder.event_format(Line).init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_target(false)
            .init(),
    }
}

/// A span as it is logged: a number in JSON, too, which one of 128 bits is not.
pub(crate) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-11-22 14:06:00 accepted peer=tcp://127.0.0.1:4321`
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "{} ", Zoned::now().strftime("%F %T"))?;
        match *event.metadata().level() {
            Level::ERROR => writer.write_str("error: ")?,
            Level::WARN => writer.write_str("warning: ")?,
            _ => {}
        }
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
