//! What goes on in a relay before its target is there, and what a connection through it costs.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use stream_socket::Listener;

use crate::relay::{SHORT, SOON, turned_by_hand};

/// A listener that leaves those who come unanswered, and whoever makes it so.
fn silent() -> (Listener, Vec<TcpStream>) {
    let listener = crate::support::listen("tcp://127.0.0.1:0?backlog=1");
    let address = listener.local_addr().to_string();
    // One more than the backlog may wait.
    let waiting = (0..2).map(|_| TcpStream::connect(&*address).unwrap());
    let waiting = waiting.collect();
    (listener, waiting)
}

#[test]
fn a_target_is_not_waited_for_on_behalf_of_a_client_that_is_gone() {
    let (target, _waiting) = silent();
    for (finishes, errno) in [(false, "(ECONNRESET)"), (true, "(EPIPE)")] {
        let (mut engine, address, endings) = turned_by_hand(&target.url().to_string(), SOON);
        let client = TcpStream::connect(address).unwrap();
        while engine.is_empty() {
            engine.turn(Some(SOON)).unwrap();
        }
        if finishes {
            // Who has only finished sending is still there.
            client.shutdown(Shutdown::Write).unwrap();
            engine.turn(Some(SOON)).unwrap();
            assert_eq!(endings.try_recv().ok(), None);
        }
        socket2::SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(client);
        while !engine.is_empty() {
            engine.turn(Some(SOON)).unwrap();
        }
        let (up, down, sentence) = endings.try_recv().unwrap();
        assert_eq!((up, down), (0, 0));
        assert!(sentence.starts_with("client failed: "), "{sentence}");
        assert!(sentence.ends_with(errno), "{sentence}");
    }
}

/// It is received before there is a target, up to 16 KiB.
#[test]
fn what_a_client_sends_at_once_comes_through_or_is_refused() {
    for length in [1, 16_384, 50_000] {
        for is_there in [true, false] {
            let backend = TcpListener::bind("127.0.0.1:0").unwrap();
            let target = format!("tcp://{}", backend.local_addr().unwrap());
            let backend = Some(backend).filter(|_| is_there);
            let (mut engine, address, endings) = turned_by_hand(&target, SOON);
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(&vec![7; length]).unwrap();
            let Some(backend) = backend else {
                while endings.try_recv().is_err() {
                    engine.turn(Some(SHORT)).unwrap();
                }
                // Nobody took it: an ordinary end would hide that.
                let error = client.read(&mut [0]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{length}");
                continue;
            };
            client.shutdown(Shutdown::Write).unwrap();
            let served = thread::spawn(move || {
                let (mut served, mut bytes) = (backend.accept()?.0, Vec::new());
                served.read_to_end(&mut bytes).map(|_| bytes)
            });
            while !served.is_finished() {
                engine.turn(Some(SHORT)).unwrap();
            }
            assert_eq!(served.join().unwrap().unwrap(), vec![7; length]);
        }
    }
}

#[cfg(feature = "simulation")]
mod simulated {
    use std::sync::Arc;

    use stream_socket::Stream;
    use stream_socket::engine::Engine;
    use stream_socket::simulation::{Call, Fault, Plan, calls};

    use super::*;
    use crate::relay::turned_for;

    const ENOSPC: i32 = 28;

    #[test]
    fn a_relay_that_can_not_be_watched_tells_of_its_end() {
        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp://{}", backend.local_addr().unwrap());
        for faults in [
            &[Fault::Errno(ENOSPC)][..],
            &[Fault::Pass, Fault::Errno(ENOSPC)],
        ] {
            let (mut engine, address, endings) = turned_by_hand(&target, SOON);
            let mut client = TcpStream::connect(address).unwrap();
            let faults = faults.iter().map(|fault| (Call::Watch, *fault));
            let plan = Plan::new(faults);
            engine.turn(Some(SOON)).unwrap();
            drop(plan);
            assert!(engine.is_empty());
            let sentence = "the system can't watch it".to_owned();
            assert_eq!(endings.try_recv().unwrap(), (0, 0, sentence));
            // It was not served, and is told so.
            client.read(&mut [0]).unwrap_err();
        }
    }

    /// One connection that carries a message each way: what the whole of it takes, in order of
    /// kind. What a loop shares among its connections (waits, and the accept that finds nobody) is
    /// not in it.
    #[test]
    fn a_relayed_connection_costs_two_watches_and_what_it_moves() {
        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp://{}", backend.local_addr().unwrap());
        let (mut engine, address, endings) = turned_by_hand(&target, SOON);
        let (ending, made) = calls(|| {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"question").unwrap();
            turn(&mut engine, 2);
            let (mut served, _) = backend.accept().unwrap();
            served.read_exact(&mut [0; 8]).unwrap();
            served.write_all(b"answer").unwrap();
            drop(served);
            turn(&mut engine, 1);
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "answer");
            drop(client);
            while !engine.is_empty() {
                engine.turn(Some(SOON)).unwrap();
            }
            endings.try_recv().unwrap()
        });
        assert_eq!(ending, (8, 6, "closed by target".to_owned()));
        let count = |kind| made.iter().filter(|call| **call == kind).count();
        for (kind, expected) in [
            (Call::Socket, 1),
            (Call::Connect, 1),
            (Call::Watch, 2),
            // The question, the answer and the end behind it, the end of the client.
            (Call::Receive, 4),
            (Call::Send, 2),
            (Call::Shutdown, 2),
            (Call::Option, 0),
            // That the target is acknowledged with the question.
            (Call::SetOption, 1),
            (Call::Name, 0),
            (Call::Mode, 0),
        ] {
            assert_eq!(count(kind), expected, "{kind:?}: {made:?}");
        }
    }

    /// That there is nothing more it need not be told. Of what is large, more will have come.
    #[test]
    #[cfg(feature = "tls")]
    fn a_message_over_tls_is_received_at_once() {
        use crate::support::certificates::{serving, trusting};

        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp://{}", backend.local_addr().unwrap());
        let listener = Listener::bind("tls://127.0.0.1:0", &serving("localhost")).unwrap();
        let url = listener.url().clone();
        let (mut engine, _endings) = turned_for(Arc::new(listener), &target, SOON);
        let client = thread::spawn(move || Stream::connect(&url, &trusting()).unwrap());
        while !client.is_finished() {
            turn(&mut engine, 1);
        }
        let mut client = client.join().unwrap();
        turn(&mut engine, 3);
        let (mut served, _) = backend.accept().unwrap();
        for length in [1, 100, 16_000, 16_384 + 100] {
            let message = vec![7; length];
            let ((), made) = calls(|| {
                client.write_all(&message).unwrap();
                turn(&mut engine, 3);
            });
            served.read_exact(&mut vec![0; length]).unwrap();
            let receives = made.iter().filter(|call| **call == Call::Receive).count();
            let expected = 1 + usize::from(length > 16_384);
            assert_eq!(receives, expected, "{length}: {made:?}");
        }
    }

    fn turn<T: stream_socket::engine::Task>(engine: &mut Engine<T>, turns: usize) {
        (0..turns).for_each(|_| _ = engine.turn(Some(SHORT)).unwrap());
    }
}
