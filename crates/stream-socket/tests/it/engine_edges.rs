//! The engine where something is odd: each a fault that it once had.

use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stream_socket::engine::{Cause, Control, Engine, Next, Task, Turn, Wake};
use stream_socket::{ConnectOptions, Interest, Listener, Stream, Transport};

use crate::engine::{Echo, listener};

const SPAN: Duration = Duration::from_millis(100);

/// Does what it is told to, whenever it is woken.
struct Puppet<D, F> {
    descriptor: D,
    run: F,
    given_up: Option<std::sync::mpsc::Sender<Cause>>,
}

impl<D: AsFd, F: FnMut(Wake, &mut Turn<'_>) -> Next> Task for Puppet<D, F> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        (self.run)(wake, turn)
    }

    fn given_up(&mut self, cause: Cause) {
        if let Some(sender) = &self.given_up {
            sender.send(cause).unwrap();
        }
    }
}

fn puppet<D: AsFd, F: FnMut(Wake, &mut Turn<'_>) -> Next>(descriptor: D, run: F) -> Puppet<D, F> {
    Puppet {
        descriptor,
        run,
        given_up: None,
    }
}

fn connect(listener: &Listener) -> Stream {
    Stream::connect(listener.url(), &ConnectOptions::default()).unwrap()
}

#[test]
fn a_task_that_can_not_be_watched_is_dropped() {
    let mut engine = Engine::new(&Control::new()).unwrap();
    let file = File::open("/proc/self/status").unwrap();
    let error = engine
        .add(puppet(file, |_, _| Next::Wait(Interest::READ)))
        .unwrap_err();
    assert_eq!(error.errno(), Some(libc::EPERM));
    assert!(engine.is_empty());
}

/// accept(2) says for ever that there is nobody, and poll(2) that there is somebody.
#[test]
fn a_unix_listener_that_was_shut_down_fails_at_once() {
    for first in [true, false] {
        let listener = listener("unix://@");
        let early = first.then(|| connect(&listener));
        listener.shutdown(std::net::Shutdown::Read).unwrap();
        if early.is_some() {
            listener.accept(Some(SPAN)).unwrap();
        }
        for timeout in [Some(Duration::ZERO), Some(SPAN), None] {
            let error = listener.accept(timeout).unwrap_err();
            assert_eq!(error.errno(), Some(libc::EINVAL), "{timeout:?}");
        }
        let control = Control::new();
        let mut engine = Engine::new(&control).unwrap();
        engine
            .listen(listener, |stream| Some(Echo::new(stream)))
            .unwrap();
        engine.turn(Some(Duration::ZERO)).unwrap();
        // It is let alone for a while.
        assert!(engine.next_turn().is_some());
        assert_eq!(control.counters().failed, 1);
    }
}

#[test]
fn a_timer_of_zero_lets_others_have_their_turn() {
    let mut engine = Engine::new(&Control::new()).unwrap();
    let (here, _there) = Stream::pair(Transport::Unix).unwrap();
    let mut wakes = 0;
    let run = |_: Wake, turn: &mut Turn<'_>| {
        wakes += 1;
        turn.set_timer(Some(Duration::ZERO));
        Next::Wait(Interest::READ)
    };
    engine.add(puppet(here, run)).unwrap();
    for _ in 0..10 {
        engine.turn(Some(Duration::ZERO)).unwrap();
    }
    drop(engine);
    assert!(wakes <= 11, "{wakes}");
}

#[test]
fn while_it_drains_it_leaves_a_listener_that_others_keep_alone() {
    let (listener, control) = (listener("tcp://127.0.0.1:0"), Control::new());
    let mut engine = Engine::new(&control).unwrap();
    engine
        .listen(Arc::clone(&listener), |stream| Some(Echo::new(stream)))
        .unwrap();
    let _early = connect(&listener);
    engine.turn(Some(SPAN)).unwrap();
    control.drain(Duration::from_secs(20));
    engine.turn(Some(SPAN)).unwrap();
    let _late = connect(&listener);
    let start = Instant::now();
    assert!(engine.turn(Some(SPAN)).unwrap());
    assert!(
        start.elapsed() >= SPAN,
        "it was woken by a connection that is not its own"
    );
    drop(listener.accept(Some(SPAN)).unwrap());
}

#[test]
fn while_it_drains_a_place_that_is_given_back_wakes_nobody() {
    let (listener, control) = (
        listener("tcp://127.0.0.1:0?max_connections=2"),
        Control::new(),
    );
    let mut engine = Engine::new(&control).unwrap();
    engine
        .listen(Arc::clone(&listener), |stream| Some(Echo::new(stream)))
        .unwrap();
    let (first, _second, _waiting) = (connect(&listener), connect(&listener), connect(&listener));
    while engine.len() < 2 {
        engine.turn(Some(SPAN)).unwrap();
    }
    control.drain(Duration::from_secs(20));
    engine.turn(Some(SPAN)).unwrap();
    drop(first);
    while engine.len() > 1 {
        engine.turn(Some(SPAN)).unwrap();
    }
    let start = Instant::now();
    engine.turn(Some(SPAN)).unwrap();
    assert!(
        start.elapsed() >= SPAN,
        "it was woken by a bell that is not heard"
    );
}

#[test]
fn a_task_that_always_has_more_to_do_is_not_idle() {
    let (listener, control) = (
        listener("tcp://127.0.0.1:0?idle_timeout=50ms"),
        Control::new(),
    );
    let (sender, given_up) = std::sync::mpsc::channel();
    let mut engine = Engine::new(&control).unwrap();
    engine
        .listen(Arc::clone(&listener), move |stream| {
            let run = |_: Wake, _: &mut Turn<'_>| Next::Yield;
            Some(Puppet {
                descriptor: stream,
                run,
                given_up: Some(sender.clone()),
            })
        })
        .unwrap();
    let mut client = connect(&listener);
    client.write_all(b"x").unwrap();
    let start = Instant::now();
    while start.elapsed() < 4 * SPAN {
        engine.turn(Some(SPAN)).unwrap();
    }
    assert_eq!(engine.len(), 1);
    assert!(given_up.try_recv().is_err());
}

#[test]
fn what_is_due_by_the_clock_is_told_to_loops_that_it_is_part_of() {
    let mut engine = Engine::new(&Control::new()).unwrap();
    assert_eq!(engine.next_turn(), None);
    let (here, _there) = Stream::pair(Transport::Unix).unwrap();
    let run = |_: Wake, turn: &mut Turn<'_>| {
        turn.set_timer(Some(10 * SPAN));
        Next::Wait(Interest::READ)
    };
    engine.add(puppet(here, run)).unwrap();
    assert!(engine.next_turn().unwrap() <= 10 * SPAN);
    assert!(engine.next_turn().unwrap() > 9 * SPAN);
}

#[test]
fn a_task_that_rests_is_woken_for_what_it_was_entered_for() {
    let mut engine = Engine::new(&Control::new()).unwrap();
    let (here, mut there) = Stream::pair(Transport::Unix).unwrap();
    let wakes = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&wakes);
    let run = move |wake: Wake, _: &mut Turn<'_>| {
        noted.lock().unwrap().push(wake);
        Next::Rest
    };
    let id = engine.rest(puppet(here, run));
    there.write_all(b"x").unwrap();
    engine.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(*wakes.lock().unwrap(), [], "it rests");

    let waits = engine.enter(id, |_, turn| {
        turn.set_timer(Some(SPAN));
        (Next::Wait(Interest::READ), "entered")
    });
    assert_eq!(waits.unwrap(), Some("entered"));
    engine.turn(Some(SPAN)).unwrap();
    let readable = Wake::Ready {
        readable: true,
        writable: false,
        ended: false,
    };
    assert_eq!(*wakes.lock().unwrap(), [readable]);
    engine.turn(None).unwrap();
    assert_eq!(*wakes.lock().unwrap(), [readable, Wake::Timer]);

    engine.remove(id);
    assert_eq!(engine.enter(id, |_, _| (Next::Rest, ())).unwrap(), None);
    assert!(engine.is_empty());
}

#[test]
fn a_program_without_room_leaves_clients_in_the_backlog() {
    let mut engine = Engine::new(&Control::new()).unwrap();
    let listener = listener("tcp://127.0.0.1:0");
    let room = Rc::new(Cell::new(1));
    let (has_room, taken) = (Rc::clone(&room), Rc::clone(&room));
    let accepted = Arc::clone(&listener);
    engine
        .listen_while(
            accepted,
            move || has_room.get() > 0,
            move |stream| {
                taken.set(taken.get() - 1);
                Some(Echo::new(stream))
            },
        )
        .unwrap();
    let _clients = [connect(&listener), connect(&listener)];
    engine.turn(Some(SPAN)).unwrap();
    assert_eq!(engine.len(), 1);
    room.set(1);
    while engine.len() < 2 {
        engine.turn(Some(SPAN)).unwrap();
    }
}

#[test]
fn a_listener_that_was_left_is_the_callers_again() {
    let mut engine = Engine::new(&Control::new()).unwrap();
    let (left, kept) = (listener("tcp://127.0.0.1:0"), listener("tcp://127.0.0.1:0"));
    for listener in [&left, &kept] {
        engine
            .listen(Arc::clone(listener), |stream| Some(Echo::new(stream)))
            .unwrap();
    }
    engine.leave(&left);
    let _clients = [connect(&left), connect(&kept)];
    while engine.is_empty() {
        engine.turn(Some(SPAN)).unwrap();
    }
    engine.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(engine.len(), 1);
    left.accept(Some(Duration::ZERO)).unwrap();
}

/// Of a reader whose last look at what he took is an eighth of the limit ago, little is forgiven.
#[cfg(feature = "simulation")]
#[test]
fn who_has_once_taken_something_is_not_given_the_limit_twice() {
    struct Stalled(Stream, Rc<Cell<u32>>, std::sync::mpsc::Sender<Cause>);

    impl Task for Stalled {
        fn descriptor(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }

        fn run(&mut self, _wake: Wake, _turn: &mut Turn<'_>) -> Next {
            Next::Wait(Interest::READ)
        }

        fn is_stalled(&self) -> bool {
            true
        }

        /// At the third look, and never again.
        fn is_moving(&mut self) -> bool {
            self.1.set(self.1.get() + 1);
            self.1.get() == 3
        }

        fn given_up(&mut self, cause: Cause) {
            self.2.send(cause).unwrap();
        }
    }

    let listener = listener("tcp://127.0.0.1:0?idle_timeout=8s");
    let _client = connect(&listener);
    let mut engine = Engine::new(&Control::new()).unwrap();
    let (looks, (told, ended)) = (Rc::new(Cell::new(0)), std::sync::mpsc::channel());
    let counted = Rc::clone(&looks);
    let make = move |stream| Some(Stalled(stream, Rc::clone(&counted), told.clone()));
    engine.listen(listener, make).unwrap();
    engine.turn(Some(SPAN)).unwrap();
    let mut seconds = 0;
    let cause = loop {
        match ended.try_recv() {
            Ok(cause) => break cause,
            Err(_) => assert!(seconds < 20),
        }
        stream_socket::simulation::advance(Duration::from_secs(1));
        engine.turn(Some(Duration::ZERO)).unwrap();
        seconds += 1;
    };
    // Something was taken within the third second, and nothing in eight that followed.
    assert_eq!((cause, looks.get()), (Cause::Idle, 11));
    assert!((11..13).contains(&seconds), "{seconds}");
}
