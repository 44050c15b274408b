//! What a listener of datagrams counts.

/// The peers that a [`Listener`](crate::Listener) of datagrams knows, and what it dropped: see
/// [`Listener::peers`](crate::Listener::peers).
///
/// What the kernel dropped because the socket's receive buffer was full is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCounters {
    /// Peers known now: those with a stream and those that wait to be accepted.
    pub known: usize,
    /// Peers and datagrams of unnamed senders that wait to be accepted now.
    pub waiting: usize,
    /// Bytes of datagrams that wait to be read now, for all peers together.
    pub queued_bytes: usize,
    /// Streams accepted so far.
    pub accepted: u64,
    /// Peers forgotten because they were idle for
    /// [`peer_idle_timeout`](crate::ListenOptions::peer_idle_timeout).
    pub evicted: u64,
    /// Datagrams of new peers dropped because [`max_peers`](crate::ListenOptions::max_peers) were
    /// known.
    pub refused: u64,
    /// Datagrams dropped because too much waited to be read: 256 datagrams or 256 KiB for one
    /// peer, or 64 MiB for all.
    pub overflowed: u64,
    /// Datagrams dropped that began with no header of the PROXY protocol, or came from a proxy
    /// outside of [`proxy_from`](crate::ListenOptions::proxy_from), where one is required.
    pub unproxied: u64,
    /// Datagrams over udg that were longer than the one before which room was made, and lost what
    /// was beyond it: where another process receives from the same socket.
    pub cut: u64,
}
