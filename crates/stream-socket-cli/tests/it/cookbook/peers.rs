//! The lines of others in the cookbook: run as they stand there, but for ports, paths and
//! certificates.

use crate::support::certificates::Certificates;
use crate::support::{Folder, Script};

/// Where a peer is to listen and what it is to connect to: ports, or paths.
pub(super) struct Places<'a> {
    pub(super) listen: &'a str,
    pub(super) target: &'a str,
    pub(super) folder: &'a Folder,
}

/// A peer at work with `line`, several where it has a configuration; `None` for one that Debian
/// does not have.
pub(super) fn start(line: &str, places: &Places<'_>) -> Option<Script> {
    let (program, rest) = line.split_once([' ', '\n']).unwrap_or((line, ""));
    let script = match program {
        "socat" => socat(rest, places),
        "stunnel:" => stunnel(rest, places),
        "ncat" => ncat(rest, places),
        "listen" => haproxy(line, places),
        "bind" => {
            let app = format!("listen app\n{line}\nserver app {}", places.target);
            haproxy(&app, places)
        }
        "systemd-socket-proxyd" => proxyd(rest, places),
        "ghostunnel" => return None,
        other => panic!("{other} is a peer that no test knows"),
    };
    Some(Script::start(&script, &[]))
}

/// `TYPE:place,option...` with another place.
fn moved(address: &str, place: &str) -> String {
    let (kind, rest) = address.split_once(':').unwrap();
    let options = rest.split_once(',').map_or("", |(_, options)| options);
    let is_bound = kind.ends_with("LISTEN") && !kind.starts_with("UNIX");
    let place = match kind {
        "TCP" | "UDP" => format!("127.0.0.1:{place}"),
        _ if is_bound && !options.contains("bind=") => format!("{place},bind=127.0.0.1"),
        _ => place.to_owned(),
    };
    format!("{kind}:{place},{options}")
        .trim_end_matches(',')
        .to_owned()
}

fn socat(words: &str, places: &Places<'_>) -> String {
    let (before, target) = words.rsplit_once(' ').unwrap();
    let (flags, listen) = before.rsplit_once(' ').unwrap_or(("", before));
    let (listen, target) = (moved(listen, places.listen), moved(target, places.target));
    format!("exec socat {flags} {listen} {target}")
}

/// Settings, between commas here, and a line each in its file.
fn stunnel(settings: &str, places: &Places<'_>) -> String {
    let certificates = Certificates::shared();
    let file = places.folder.text("stunnel.conf");
    let settings: Vec<String> = settings
        .split(", ")
        .map(|setting| {
            let (key, value) = setting.split_once(" = ").unwrap();
            let value = match key {
                "accept" => format!("127.0.0.1:{}", places.listen),
                "connect" => format!("127.0.0.1:{}", places.target),
                "cert" => certificates.file("localhost.pem"),
                "CAfile" => certificates.file("ca.pem"),
                _ => value.to_owned(),
            };
            format!("{key} = {value}")
        })
        .collect();
    let settings = settings.join("\n");
    format!(
        "cat >{file} <<END\nforeground = yes\nsyslog = no\npid =\n[app]\n{settings}\nEND\n\
         exec stunnel {file}"
    )
}

fn ncat(words: &str, places: &Places<'_>) -> String {
    let words = words.replace("8080", &format!("127.0.0.1 {}", places.listen));
    let words = words.replace("localhost 80", &format!("127.0.0.1 {}", places.target));
    format!("exec ncat {words}")
}

fn haproxy(section: &str, places: &Places<'_>) -> String {
    let file = places.folder.text("haproxy.cfg");
    let lines: Vec<String> = section
        .lines()
        .map(|line| {
            let mut words: Vec<&str> = line.split_whitespace().collect();
            let (listen, target) = (
                format!("127.0.0.1:{}", places.listen),
                format!("127.0.0.1:{}", places.target),
            );
            match words[0] {
                "bind" => words[1] = &listen,
                "server" => words[2] = &target,
                _ => {}
            }
            words.join(" ")
        })
        .collect();
    let lines = lines.join("\n");
    let defaults = "defaults\nmode tcp\ntimeout connect 5s\ntimeout client 5s\ntimeout server 5s";
    format!("cat >{file} <<END\n{defaults}\n{lines}\nEND\nexec haproxy -f {file} -db")
}

/// It is handed its socket by systemd, or by what stands in for that.
fn proxyd(words: &str, places: &Places<'_>) -> String {
    let (flags, _) = words.rsplit_once(' ').unwrap();
    let (listen, target) = (places.listen, places.target);
    format!(
        "exec systemd-socket-activate -l 127.0.0.1:{listen} \
         /lib/systemd/systemd-socket-proxyd {flags} {target}"
    )
}
