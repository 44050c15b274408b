//! What only a few streams have, kept out of the way of the others.

use super::Stream;
use super::proxied::Proxied;
use crate::sys::unix::SocketFile;

#[derive(Debug, Default)]
pub(super) struct Rare {
    /// The file that it was bound to, removed with it.
    pub(super) file: Option<SocketFile>,
    /// What goes before each datagram.
    prefix: Option<Box<[u8]>>,
    /// The proxy by which it came.
    pub(super) proxied: Option<Proxied>,
}

impl Rare {
    /// Of a connected stream; `None` where it has nothing of the kind.
    pub(super) fn boxed(file: Option<SocketFile>, prefix: Option<Box<[u8]>>) -> Option<Box<Self>> {
        (file.is_some() || prefix.is_some()).then(|| {
            Box::new(Self {
                file,
                prefix,
                proxied: None,
            })
        })
    }

    pub(super) fn prefix(rare: &Option<Box<Self>>) -> Option<&[u8]> {
        rare.as_ref()?.prefix.as_deref()
    }
}

impl Stream {
    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(Box::default)
    }
}
