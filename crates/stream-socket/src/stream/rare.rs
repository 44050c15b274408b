//! What only a few streams have, kept out of the way of the others.

use crate::sys::unix::SocketFile;

#[derive(Debug)]
pub(super) struct Rare {
    /// The file that it was bound to, removed with it.
    pub(super) file: Option<SocketFile>,
    /// What goes before each datagram.
    prefix: Option<Box<[u8]>>,
}

impl Rare {
    /// Of a connected stream; `None` where it has nothing of the kind.
    pub(super) fn boxed(file: Option<SocketFile>, prefix: Option<Box<[u8]>>) -> Option<Box<Self>> {
        (file.is_some() || prefix.is_some()).then(|| Box::new(Self { file, prefix }))
    }

    pub(super) fn prefix(rare: &Option<Box<Self>>) -> Option<&[u8]> {
        rare.as_ref()?.prefix.as_deref()
    }
}
