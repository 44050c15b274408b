//! One direction of the exchange: what was read and not yet written.

/// Bytes under way, and whether more will come.
#[derive(Debug)]
pub(super) struct Channel {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    has_ended: bool,
}

impl Channel {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            buffer: vec![0; bytes].into(),
            start: 0,
            end: 0,
            has_ended: false,
        }
    }

    /// Whether there is nothing to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether more is to be read: all that was read is written, and the end has not come.
    pub(super) fn wants_more(&self) -> bool {
        self.is_empty() && !self.has_ended
    }

    /// Whether the end has come and all before it is written.
    pub(super) fn is_finished(&self) -> bool {
        self.is_empty() && self.has_ended
    }

    /// Room to read into, when [`wants_more`](Self::wants_more).
    pub(super) fn room(&mut self) -> &mut [u8] {
        (self.start, self.end) = (0, 0);
        &mut self.buffer
    }

    /// So many bytes were read into the room.
    pub(super) fn filled(&mut self, bytes: usize) {
        (self.start, self.end) = (0, bytes);
    }

    /// What is to be written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// So many bytes of it were written.
    pub(super) fn written(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }
}
