//! RFC 865: a quote of the day.

use jiff::Zoned;

/// None is longer than what an empty IPv4 datagram may be answered.
const QUOTES: [&str; 14] = [
    "A closed port says more than a silent one.\n",
    "A datagram promises nothing and keeps its word.\n",
    "A name is where a connection starts to go wrong.\n",
    "An open socket is a conversation not yet finished.\n",
    "Be patient with peers and strict with deadlines.\n",
    "Every timeout is a guess with a unit.\n",
    "Half a close is better than no goodbye.\n",
    "No buffer is so large that nobody fills it.\n",
    "Nothing is as loud as a log that nobody reads.\n",
    "Port zero: ask, and you shall be given one.\n",
    "The cable is innocent until somebody moves it.\n",
    "The slowest reader writes the best bug reports.\n",
    "What was sent is not what was read.\n",
    "You know a protocol when you know how it ends.\n",
];

pub(super) fn today() -> &'static str {
    let day = usize::try_from(Zoned::now().day_of_year()).unwrap_or_default();
    QUOTES[day % QUOTES.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::largest_answer;

    #[test]
    fn every_quote_is_one_line_that_fits_the_smallest_answer() {
        let peer = stream_socket::SocketAddress::Inet("127.0.0.1:5000".parse().unwrap());
        let limit = largest_answer(0, &peer);
        for quote in QUOTES {
            assert!(quote.len() <= limit, "{quote}: {} of {limit}", quote.len());
            assert!(quote.is_ascii() && quote.find('\n') == Some(quote.len() - 1));
        }
    }
}
