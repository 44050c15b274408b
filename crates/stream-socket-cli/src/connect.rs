//! The exchange between a socket and the standard streams.

mod channel;
mod exchange;
mod patience;
mod progress;
mod standard;

pub(crate) use self::exchange::Exchange;
pub(crate) use self::patience::Limits;
pub(crate) use self::standard::Standard;
