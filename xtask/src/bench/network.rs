//! A network of its own for a relay and its load, in which a packet is as long as on Ethernet.
//!
//! The loopback's own MTU of 65,536 bytes makes the cost of bulk hang on whether a buffer's size
//! happens to fit its segments: 64 KiB cost 2.8 times what 60 KiB do.

use std::io::{BufRead, BufReader};
use std::path::Path;

use super::ground::Ground;
use super::pinned::Pinned;

const SET_UP: &str = "ip link set lo mtu 1500 up && echo ready && exec cat";

/// It is there as long as the process that holds it.
#[derive(Debug)]
pub(super) struct Network {
    holder: Pinned,
}

impl Network {
    pub(super) fn make(ground: &Ground, complaints: &Path) -> Result<Self, String> {
        let words = ["unshare", "--net", "sh", "-c", SET_UP].map(String::from);
        let mut holder = Pinned::start(ground.cores[1], &words, complaints)?;
        let output = holder.take_output().ok_or("the network has no output")?;
        let mut line = String::new();
        match BufReader::new(output).read_line(&mut line) {
            Ok(length) if length > 0 => Ok(Self { holder }),
            _ => {
                let complaint = holder.complaint();
                Err(format!(
                    "no network of its own, root can make one: {complaint}"
                ))
            }
        }
    }

    /// What a command line begins with that is to be run in there.
    pub(super) fn enter(&self) -> Vec<String> {
        let file = format!("--net=/proc/{}/ns/net", self.holder.id());
        vec!["nsenter".into(), file]
    }
}
