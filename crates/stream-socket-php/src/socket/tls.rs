//! A socket that carries TLS: how that begins, and what is known of it.

use std::io::ErrorKind;

use stream_socket::{
    HandshakeCounters, Interest, Selectable, Stage, TlsClientOptions, TlsFacts, TlsServerOptions,
};

use super::{Object, Socket};
use crate::counters::{self, count};
use crate::failure::{self, Failure};
use crate::waiting::Direction;

/// `enum ss_tls`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tls {
    None,
    /// A listener whose connections carry it, once a certificate is known.
    Listener,
    /// The handshake is under way.
    Begun,
    On,
    /// It begins once there is a connection.
    #[allow(dead_code, reason = "C notes it")]
    Due,
}

/// How far a handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    Waits(Direction),
    Done,
}

impl Socket {
    /// Has the connections of a listener carry TLS from now on. Where the options are what they
    /// were, and their files can't be used, these are being replaced: what was read before is good
    /// still.
    pub(crate) fn serve_tls(&mut self, options: &TlsServerOptions) -> Result<(), Failure> {
        let Object::Listener(listener) = &self.object else {
            return Err(Failure::of_system(failure::NO_SOCKET));
        };
        let is_known = self.served.as_deref() == Some(options);
        match listener.start_tls(options) {
            Ok(()) if !is_known => self.served = Some(Box::new(options.clone())),
            Err(error) if !is_known => return Err(error.into()),
            _ => {}
        }
        Ok(())
    }

    /// Begins TLS as the server's end.
    pub(crate) fn start_tls(
        &mut self,
        options: &TlsServerOptions,
        waits: bool,
    ) -> Result<Handshake, Failure> {
        let Object::Stream(stream) = &mut self.object else {
            return Err(Failure::of_system(failure::NOT_CONNECTED));
        };
        stream.set_blocking(waits);
        let result = stream.start_tls_server(options);
        self.shaken(result)
    }

    /// Begins TLS as the client's end. What the library can't do with the options is not supported,
    /// and nothing has gone out.
    pub(crate) fn start_tls_as_client(
        &mut self,
        options: &TlsClientOptions,
        waits: bool,
    ) -> Result<Handshake, Failure> {
        let Object::Stream(stream) = &mut self.object else {
            return Err(Failure::of_system(failure::NOT_CONNECTED));
        };
        stream.set_blocking(waits);
        match stream.start_tls_client(options) {
            Err(error) if matches!(error.stage(), Stage::Parse | Stage::Socket) => {
                Err(Failure::of_system(failure::NOT_SUPPORTED))
            }
            result => self.shaken(result),
        }
    }

    /// Goes on with the handshake.
    pub(crate) fn shake_hands(&mut self, waits: bool) -> Result<Handshake, Failure> {
        let Object::Stream(stream) = &mut self.object else {
            return Err(Failure::of_system(failure::NOT_CONNECTED));
        };
        stream.set_blocking(waits);
        let result = stream.handshake();
        self.shaken(result)
    }

    /// Ends TLS, and goes on in plain, once the peer has answered.
    pub(crate) fn stop_tls(&mut self, waits: bool) -> Result<(), Failure> {
        let timeout = self.head.net.timeout.span();
        let Object::Stream(stream) = &mut self.object else {
            return Err(Failure::of_system(failure::NOT_CONNECTED));
        };
        stream.set_blocking(waits);
        stream.set_read_timeout(timeout);
        match stream.stop_tls() {
            Ok(()) => {
                self.head.tls = Tls::None;
                Ok(())
            }
            Err(error) if error.io_kind() == ErrorKind::WouldBlock => {
                Err(Failure::of_system(failure::AGAIN))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn shaken(
        &mut self,
        result: Result<Option<Interest>, stream_socket::Error>,
    ) -> Result<Handshake, Failure> {
        let (tls, result) = match result {
            Ok(None) => (Tls::On, Ok(Handshake::Done)),
            Ok(Some(Interest::WRITE)) => (Tls::Begun, Ok(Handshake::Waits(Direction::Write))),
            Ok(Some(_)) => (Tls::Begun, Ok(Handshake::Waits(Direction::Read))),
            Err(error) => {
                count(&counters::HANDSHAKES_FAILED);
                (Tls::On, Err(error.into()))
            }
        };
        self.head.tls = tls;
        result
    }

    /// Whether a listener whose descriptor is readable has a connection to accept: its handshakes
    /// go on first, as far as they can.
    pub(crate) fn has_arrival(&self) -> bool {
        match &self.object {
            Object::Listener(listener) => listener.is_readable(),
            _ => true,
        }
    }

    /// What became of a listener's handshakes.
    pub(crate) fn handshakes(&self) -> Option<HandshakeCounters> {
        match &self.object {
            Object::Listener(listener) => listener.handshakes(),
            _ => None,
        }
    }

    /// Why handshakes failed since the last call: a line for each.
    pub(crate) fn take_handshake_failures(&self) -> String {
        let Object::Listener(listener) = &self.object else {
            return String::new();
        };
        let failures = listener.take_handshake_failures();
        let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    /// What a stream has agreed upon with its peer, and whether the peer has ended without a word.
    pub(crate) fn tls(&self) -> Option<(TlsFacts, bool)> {
        match &self.object {
            Object::Stream(stream) => Some((stream.tls()?, stream.is_truncated())),
            _ => None,
        }
    }
}
