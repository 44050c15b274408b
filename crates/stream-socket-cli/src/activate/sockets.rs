//! The sockets that workers inherit.

use std::os::fd::{AsFd, BorrowedFd};

use stream_socket::{ListenOptions, SocketUrl, Target};

use crate::descriptor;
use crate::failure::Failure;
use crate::options::{self, Flag};
use crate::place::Place;

/// Those that are open, in the order of their URLs. The files of unix sockets go with them.
#[derive(Default)]
pub(crate) struct Sockets(Vec<Socket>);

struct Socket {
    /// The library's, which removes the file when it is dropped.
    kept: Box<dyn AsFd>,
    url: SocketUrl,
    name: Option<String>,
}

impl Sockets {
    /// Opens every address of every URL, all or none. Of `names` there is one for each URL, or
    /// none.
    pub(crate) fn open(
        urls: &[SocketUrl],
        names: &[String],
        flags: &[Flag],
    ) -> Result<Self, Failure> {
        urls.iter().try_for_each(refuse_tls)?;
        let (mut places, mut called) = (Vec::new(), Vec::new());
        for (index, url) in urls.iter().enumerate() {
            let found = Place::all(std::slice::from_ref(url))?;
            let name = names.get(index).cloned().or_else(|| own_name(url));
            called.resize(called.len() + found.len(), name);
            places.extend(found);
        }
        let options = options::activating(&places, flags)?;
        let mut sockets = Self::default();
        for ((place, options), name) in places.into_iter().zip(&options).zip(called) {
            sockets.add(place, options, name.as_deref())?;
        }
        // Workers expect that, and only before there are any can it be done to what all share.
        for Socket { kept, url, .. } in &sockets.0 {
            descriptor::blocking(kept)
                .map_err(|error| Failure::System(format!("cannot pass {url}"), error))?;
        }
        Ok(sockets)
    }

    fn add(
        &mut self,
        place: Place,
        options: &ListenOptions,
        name: Option<&str>,
    ) -> Result<(), Failure> {
        let socket = |url: SocketUrl, kept| Socket {
            kept,
            url,
            name: name.map(str::to_owned),
        };
        if place.url().transport().is_datagram() {
            for one in place.receive(options)? {
                self.0.push(socket(one.url().clone(), Box::new(one)));
            }
        } else {
            for one in place.listen(options)? {
                self.0.push(socket(one.url().clone(), Box::new(one)));
            }
        }
        Ok(())
    }

    /// The URL of each socket, by which clients reach it, and its name.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&SocketUrl, Option<&str>)> {
        let sockets = self.0.iter();
        sockets.map(|socket| (&socket.url, socket.name.as_deref()))
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Themselves, in their order.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|socket| socket.kept.as_fd())
    }

    /// What they are called, as `LISTEN_FDNAMES` has it; `None` if nothing has a name.
    pub(super) fn names(&self) -> Option<String> {
        let names = self.0.iter().map(|socket| socket.name.as_deref());
        let is_named = names.clone().any(|name| name.is_some());
        // What has no name among others is called so by systemd, too.
        let names = names.map(|name| name.unwrap_or("unknown"));
        is_named.then(|| names.collect::<Vec<_>>().join(":"))
    }
}

/// The name of a socket that was passed to us by name.
fn own_name(url: &SocketUrl) -> Option<String> {
    match url.target() {
        Target::Activated(name) => name.as_deref().map(str::to_owned),
        _ => None,
    }
}

fn refuse_tls(url: &SocketUrl) -> Result<(), Failure> {
    let transport = url.transport();
    if !transport.is_tls() {
        return Ok(());
    }
    let url = url.without_query().to_string();
    let target = url.split_once("://").map_or("", |(_, target)| target);
    let plain = format!("{}://{target}", transport.carrier().name());
    Err(Failure::Usage(format!(
        "cannot activate {url}: TLS is begun by who accepts, the worker; pass {plain} to it, and \
         give it the certificate"
    )))
}
