//! Looking up where a connect goes, without waiting.

use std::os::fd::{AsFd, BorrowedFd};

use crate::address::SocketAddress;
use crate::error::Result;
use crate::options::ConnectOptions;
use crate::sys::lookup::Lookup as Asked;
use crate::transport::Plan;
use crate::url::ToSocketUrl;

/// A [`resolve`](crate::resolve) that does not wait: a lookup under way.
///
/// Its descriptor is readable when it is over; [`advance`](Self::advance) then says what was
/// found. Where it goes on, [`Route::to`](crate::Route::to) takes the addresses.
///
/// [getaddrinfo(3)] does nothing but wait, so it runs on a thread of the library's. Such a thread
/// begins when a name is asked for, and ends when no lookup is left to be made; there are up to 32,
/// and further lookups wait for their turn. No signal is delivered to them. An address that is
/// written as such starts none.
///
/// There is no time for it: who has waited for long enough drops it. Its thread then ends by
/// itself, when the resolver gives up. A child that was forked meanwhile has no such thread, and
/// is told so.
///
/// [getaddrinfo(3)]: https://man7.org/linux/man-pages/man3/getaddrinfo.3.html
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use stream_socket::{ConnectOptions, Interest, Lookup, Member};
///
/// let mut lookup = Lookup::start("tcp://localhost:80", &ConnectOptions::default())?;
/// let limit = Some(Duration::from_secs(10));
/// stream_socket::select(&mut [Member::new(&lookup, Interest::READ)], limit)?;
/// let addresses = lookup.advance()?.unwrap_or_default();
/// assert!(!addresses.is_empty());
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Debug)]
pub struct Lookup {
    plan: Plan,
    asked: Asked,
}

impl Lookup {
    /// Begins to look for the addresses that a connect with these options goes to.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`](crate::Stage::Parse) for the URL and its options, at
    /// [`Stage::Resolve`](crate::Stage::Resolve) where there is no descriptor or no thread for it.
    pub fn start<U: ToSocketUrl + ?Sized>(url: &U, options: &ConnectOptions) -> Result<Self> {
        let plan = Plan::new(url.to_socket_url()?.into_owned(), options)?;
        let asked = plan.look_up()?;
        Ok(Self { plan, asked })
    }

    /// The addresses, best first, once they have been found; `None` while they are awaited, and
    /// after they have been told.
    ///
    /// # Errors
    ///
    /// At [`Stage::Resolve`](crate::Stage::Resolve), with its
    /// [`resolver_code`](crate::Error::resolver_code).
    pub fn advance(&mut self) -> Result<Option<Vec<SocketAddress>>> {
        self.plan.looked_up(&self.asked)
    }
}

impl AsFd for Lookup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.asked.as_fd()
    }
}
