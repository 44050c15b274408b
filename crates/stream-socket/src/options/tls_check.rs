//! A program's own word on certificates.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A program's own look at the certificates of a peer, within the handshake: beside all else that
/// is asked of them, and after it. See [`TlsServerOptions::check`](crate::TlsServerOptions::check).
///
/// It is known by its name. Listeners and clients whose options are alike share keys, tickets and
/// sessions, and two checks of one name are taken for the same: a name has to say all by which they
/// differ. A session that is resumed was looked at when it began.
///
/// # Examples
///
/// ```
/// use stream_socket::{ListenOptions, TlsCheck};
///
/// let known = [vec![0x30, 0x82]];
/// let mut options = ListenOptions::default();
/// options.tls.check = Some(TlsCheck::new("known clients", move |certificates| {
///     if known.iter().any(|known| certificates.first() == Some(&&known[..])) {
///         return Ok(());
///     }
///     Err("the client is none of those known".to_owned())
/// }));
/// ```
#[derive(Clone)]
pub struct TlsCheck {
    name: String,
    #[cfg_attr(
        not(feature = "tls"),
        allow(dead_code, reason = "there is nobody to look at")
    )]
    look: Arc<Look>,
}

type Look = dyn Fn(&[&[u8]]) -> Result<(), String> + Send + Sync;

impl TlsCheck {
    /// `look` is given what the peer showed, its own certificate first, in DER. What it refuses, it
    /// refuses in a sentence without a dot, which is the error's reason. It must not block: other
    /// handshakes wait for it.
    pub fn new(
        name: impl Into<String>,
        look: impl Fn(&[&[u8]]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            look: Arc::new(look),
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn look(&self, certificates: &[&[u8]]) -> Result<(), String> {
        (self.look)(certificates)
    }
}

impl PartialEq for TlsCheck {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TlsCheck {}

impl Hash for TlsCheck {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for TlsCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsCheck").field(&self.name).finish()
    }
}
