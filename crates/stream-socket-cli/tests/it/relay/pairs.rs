//! Every pair of transports: random bytes both ways, and all that a seed does to them, arrive as
//! they were sent, and nothing is left behind.
//!
//! `MEBIBYTES=1024 SEED=7 cargo test …` has so much carried each way by each pair, or only by
//! `PAIR="tcp to tls"`; `cargo xtask soak relay` does that.

use std::time::Instant;

use stream_socket::{ConnectOptions, ListenOptions, Listener, Stream};

use super::conversation::{Conversation, Plan, Random, hold};
use crate::support::certificates::Certificates;
use crate::support::{Folder, LIMIT, Server};

/// What carries bytes, and what datagrams. A pair is made of any two.
const STREAMS: &[&str] = &["tcp", "mptcp", "unix", "tls", "tls+unix"];
const DATAGRAMS: &[&str] = &["udp", "udg"];

/// How much the first connection of each pair carries each way.
const MEBIBYTES: u64 = 2;
/// How many there are besides, and how much the longest of them carries.
const OTHERS: usize = 8;
/// And where they share a socket's queue.
const OTHERS_OF_DATAGRAMS: usize = 2;
const LONGEST: u64 = 300_000;

fn from_environment(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

/// Where something of this transport listens here.
fn own(transport: &str, folder: &Folder, name: &str) -> String {
    match transport {
        "unix" | "udg" | "tls+unix" => format!("{transport}://{}", folder.text(name)),
        _ => format!("{transport}://127.0.0.1:0"),
    }
}

fn is_datagram(transport: &str) -> bool {
    DATAGRAMS.contains(&transport)
}

/// The query of a URL to listen on, or to connect to.
fn query(transport: &str, listens: bool) -> String {
    let certificates = Certificates::shared();
    match (transport.starts_with("tls"), listens) {
        (true, true) => format!("?certificate={}", certificates.file("localhost.pem")),
        (true, false) => format!("?ca={}&peer_name=localhost", certificates.file("ca.pem")),
        _ => String::new(),
    }
}

/// A relay between two transports, and what it relays to.
struct Between {
    relay: Server,
    target: Listener,
    listen: &'static str,
    folder: Folder,
    has_datagrams: bool,
    clients: usize,
}

impl Between {
    fn new(listen: &'static str, target: &str) -> Self {
        let folder = Folder::new();
        let url = own(target, &folder, "out") + &query(target, true);
        let bound = Listener::bind(&*url, &ListenOptions::default()).unwrap();
        // Datagrams have no end: who has said all is silent, and then forgotten.
        let (from_datagrams, to_datagrams) = (is_datagram(listen), is_datagram(target));
        let relay = Server::relay(&format!(
            "{}{} {}{} --threads 2 {} --half-closed {}",
            own(listen, &folder, "in"),
            query(listen, true),
            bound.url(),
            query(target, false),
            if from_datagrams {
                "--peer-idle-timeout 500ms"
            } else {
                ""
            },
            if to_datagrams { "500ms" } else { "20s" },
        ));
        Self {
            relay,
            target: bound,
            listen,
            folder,
            has_datagrams: from_datagrams || to_datagrams,
            clients: 0,
        }
    }

    fn client(&mut self) -> Stream {
        self.clients += 1;
        let mut url = self.relay.url().to_owned() + &query(self.listen, false);
        if self.listen == "udg" {
            // Without a name nobody could answer it.
            let name = self.folder.text(&format!("client-{}", self.clients));
            url += &format!("?bind={name}");
        }
        Stream::connect(&*url, &ConnectOptions::default()).unwrap()
    }

    fn begin(&mut self, seed: u64, plan: Plan) -> Conversation {
        let client = self.client();
        let accept = || self.target.accept(Some(LIMIT)).unwrap();
        Conversation::begin(client, accept, self.has_datagrams, seed, plan)
    }

    /// One long conversation and some short ones, some of which break off.
    fn plans(&self, random: &mut Random, length: u64) -> Vec<Plan> {
        let whole = Plan {
            up: length,
            down: length,
            breaks: None,
        };
        let mut plans = vec![whole];
        let others = if self.has_datagrams {
            OTHERS_OF_DATAGRAMS
        } else {
            OTHERS
        };
        for _ in 0..others {
            let (up, down) = (1 + random.below(LONGEST), 1 + random.below(LONGEST));
            let breaks = match random.below(2) {
                0 if !self.has_datagrams => {
                    let who = random.below(2) as usize;
                    Some((who, random.below([up, down][who])))
                }
                _ => None,
            };
            plans.push(Plan { up, down, breaks });
        }
        plans
    }
}

fn carry(listen: &'static str, target: &str) {
    let seed = from_environment("SEED").unwrap_or(1);
    let mebibytes = from_environment("MEBIBYTES").unwrap_or(MEBIBYTES);
    let (pair, begun) = (format!("{listen} to {target}"), Instant::now());
    if std::env::var("PAIR").is_ok_and(|only| only != pair) {
        return;
    }
    let pair = format!("SEED={seed} PAIR=\"{pair}\"");
    let mut between = Between::new(listen, target);
    let mut random = Random::new(seed);
    let plans = between.plans(&mut random, mebibytes << 20);
    let first = between.begin(random.next(), plans[0]);
    // Its loops are there when it has passed something on. A peer of datagrams shares a socket.
    let of_first = if is_datagram(listen) { 1 } else { 2 };
    let before = between.relay.descriptors("socket:") - of_first;
    let others = plans[1..].iter();
    let others = others.map(|plan| between.begin(random.next(), *plan));
    let mut conversations: Vec<_> = std::iter::once(first).chain(others).collect();
    let result = hold(&mut conversations);
    drop(conversations);
    if let Err(error) = result {
        panic!("{pair}: {error}\n{}", between.relay.end());
    }
    between.relay.lets_go_of_all_but(before);
    let log = between.relay.end();
    for Plan { up, down, breaks } in plans {
        let line = format!("up={up} down={down} ");
        assert!(
            breaks.is_some() || log.contains(&line),
            "{pair}: {line}: {log}"
        );
    }
    eprintln!(
        "{pair}: {mebibytes} MiB each way in {:.1?}",
        begun.elapsed()
    );
}

#[test]
fn bytes_arrive_as_they_were_sent_whatever_happens() {
    for listen in STREAMS {
        STREAMS.iter().for_each(|target| carry(listen, target));
    }
}

#[test]
fn datagrams_arrive_as_they_were_sent_where_there_is_room_for_them() {
    for listen in DATAGRAMS {
        DATAGRAMS.iter().for_each(|target| carry(listen, target));
        STREAMS.iter().for_each(|target| carry(listen, target));
    }
}

#[test]
fn bytes_become_datagrams_and_datagrams_bytes_whatever_happens() {
    for listen in STREAMS {
        DATAGRAMS.iter().for_each(|target| carry(listen, target));
    }
}
