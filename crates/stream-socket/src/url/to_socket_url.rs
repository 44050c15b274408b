//! What may stand where a URL is wanted: a parsed one, or text.
//!
//! Floor 1.

use std::borrow::Cow;

use super::SocketUrl;
use crate::error::Result;

/// What can name a socket: a [`SocketUrl`], or text that is parsed when it is used.
///
/// It lets `Listener::bind("tcp://[::1]:0", …)` and `Listener::bind(&url, …)` both work, as
/// [`ToSocketAddrs`](std::net::ToSocketAddrs) does for the sockets of std.
///
/// # Examples
///
/// ```
/// use stream_socket::{Result, SocketUrl, ToSocketUrl};
///
/// fn target_text(url: impl ToSocketUrl) -> Result<String> {
///     Ok(url.to_socket_url()?.target().to_string())
/// }
///
/// let url: SocketUrl = "udp://127.0.0.1:13".parse()?;
/// assert_eq!(target_text(&url)?, target_text("udp://127.0.0.1:13")?);
/// # Ok::<(), stream_socket::Error>(())
/// ```
pub trait ToSocketUrl {
    /// The URL, borrowed where it exists already.
    ///
    /// # Errors
    ///
    /// [`Stage::Parse`](crate::Stage::Parse) where text is not a URL.
    fn to_socket_url(&self) -> Result<Cow<'_, SocketUrl>>;
}

impl ToSocketUrl for SocketUrl {
    fn to_socket_url(&self) -> Result<Cow<'_, SocketUrl>> {
        Ok(Cow::Borrowed(self))
    }
}

impl ToSocketUrl for str {
    fn to_socket_url(&self) -> Result<Cow<'_, SocketUrl>> {
        self.parse().map(Cow::Owned)
    }
}

impl ToSocketUrl for String {
    fn to_socket_url(&self) -> Result<Cow<'_, SocketUrl>> {
        self.as_str().to_socket_url()
    }
}

impl<T: ToSocketUrl + ?Sized> ToSocketUrl for &T {
    fn to_socket_url(&self) -> Result<Cow<'_, SocketUrl>> {
        (**self).to_socket_url()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parsed_url_is_borrowed_and_text_is_parsed() {
        let text = "tcp://h:1";
        let url: SocketUrl = text.parse().unwrap();
        assert!(matches!((&&url).to_socket_url(), Ok(Cow::Borrowed(same)) if *same == url));
        for from_text in [text.to_socket_url(), text.to_owned().to_socket_url()] {
            assert!(matches!(from_text, Ok(Cow::Owned(same)) if same == url));
        }
        assert!("tcp://h".to_socket_url().is_err());
    }
}
