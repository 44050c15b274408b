//! What is said to every peer, whatever its transport.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use stream_socket::{Listener, Stream};

use super::peer::Peer;
use super::{accept, line_of, noise, patient, rest_of};

/// Serves one client that sends its standard input, ends that direction, and prints what it is
/// answered; the answer comes after its end, so both half-closes are seen.
pub(crate) fn serve(listener: &Listener, mut client: Peer) -> Stream {
    client.tell(b"a line\nand \0\xff the rest");
    client.end_input();
    let mut served = accept(listener);
    assert_eq!(line_of(&mut served).unwrap(), b"a line\n");
    assert_eq!(rest_of(&mut served), b"and \0\xff the rest");
    assert!(served.is_eof().unwrap());
    served.write_all(b"an answer\n").unwrap();
    served.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.finish(), b"an answer\n");
    served
}

/// Talks to a server that sends back what it receives, until the end of that.
pub(crate) fn converse(mut stream: Stream) -> Stream {
    stream.write_all(b"a line\nand the rest").unwrap();
    assert_eq!(line_of(&mut stream).unwrap(), b"a line\n");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest_of(&mut stream), b"and the rest");
    assert!(stream.is_eof().unwrap());
    assert_eq!((stream.bytes_sent(), stream.bytes_received()), (19, 19));
    stream
}

/// Sends far more than the kernel holds through an echo, both directions at once.
pub(crate) fn echo_much(mut stream: Stream) {
    const LENGTH: usize = 24 << 20;
    let sent = noise(LENGTH, 1);
    let socket = stream.into_parts().unwrap().0;
    let mut writer = patient(Stream::try_from(socket.try_clone().unwrap()).unwrap());
    stream = patient(Stream::try_from(socket).unwrap());
    let mut received = Vec::with_capacity(LENGTH);
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        stream.read_to_end(&mut received).unwrap();
    });
    assert_eq!(received.len(), LENGTH);
    assert!(received == sent, "the bytes are not those that were sent");
}
