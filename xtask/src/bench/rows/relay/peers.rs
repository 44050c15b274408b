//! The relays that ours is measured beside: one thread each, and buffers of the size that suits it.

use crate::bench::ground::Ground;
use crate::bench::row::{Contender, OURS};

pub(super) const HAPROXY: &[&str] = &["haproxy", "haproxy-64k", "haproxy-splice"];
pub(super) const NGINX: &[&str] = &["nginx-16k", "nginx-64k"];
/// All that pass connections on without a process for each.
pub(super) const LOOPS: &[&str] = &[
    "haproxy",
    "haproxy-64k",
    "haproxy-splice",
    "nginx-16k",
    "nginx-64k",
];

/// Two descriptors for each and two for each of its pipes, a quarter as many, have to fit HAProxy's
/// limit; it ends without a word under `-q` if they don't.
const MOST_CONNECTIONS: usize = 4_500;

/// Ours, and all that serve many connections in one thread; `direct` says what the load can do.
pub(super) fn loops(ground: &Ground) -> Vec<Contender> {
    vec![
        ours(ground, "tcp"),
        haproxy("haproxy", "", ""),
        haproxy("haproxy-64k", "tune.bufsize 65536", ""),
        haproxy("haproxy-splice", "", "option splice-auto"),
        nginx("nginx-16k", "16k"),
        nginx("nginx-64k", "64k"),
        Contender::direct(),
    ]
}

/// Those that put TLS before a target that has none.
pub(super) fn before_tcp(ground: &Ground) -> Vec<Contender> {
    let certificate = ground.certificate("ecdsa");
    let bind = format!("ssl crt {certificate}");
    let mut ours = ours(ground, "tls");
    if let Ok(command) = &mut ours.command {
        command.extend(["--certificate".to_owned(), certificate.clone()]);
    }
    vec![
        ours,
        haproxy_on("haproxy", &bind, "", ""),
        haproxy_on("haproxy-64k", &bind, "tune.bufsize 65536", ""),
        stunnel(&certificate),
    ]
}

fn ours(ground: &Ground, transport: &str) -> Contender {
    let program = ground.ours.to_string_lossy();
    let listen = format!("{transport}://127.0.0.1:{{port}}");
    Contender::new(
        OURS,
        &[
            &program,
            "relay",
            "--quiet",
            "--threads=1",
            &listen,
            "tcp://127.0.0.1:{target}",
        ],
    )
}

fn haproxy(name: &'static str, global: &str, option: &str) -> Contender {
    haproxy_on(name, "", global, option)
}

fn haproxy_on(name: &'static str, bind: &str, global: &str, option: &str) -> Contender {
    let configuration = format!(
        "global
    nbthread 1
    maxconn {MOST_CONNECTIONS}
    {global}
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    {option}
listen relay
    bind 127.0.0.1:{{port}} {bind} backlog 4096
    maxconn {MOST_CONNECTIONS}
    server target 127.0.0.1:{{target}}
"
    );
    let words = ["haproxy", "-db", "-f", "{configuration}"];
    Contender::configured(name, &words, configuration)
}

/// Its master and one worker, which the guard ends together.
fn nginx(name: &'static str, buffer: &str) -> Contender {
    let configuration = format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes 1;
error_log stderr error;
pid {{folder}}/nginx.pid;
events {{
    worker_connections 16384;
    multi_accept on;
}}
stream {{
    proxy_buffer_size {buffer};
    server {{
        listen 127.0.0.1:{{port}} backlog=4096;
        proxy_pass 127.0.0.1:{{target}};
    }}
}}
"
    );
    let words = ["nginx", "-e", "stderr", "-c", "{configuration}"];
    Contender::configured(name, &words, configuration)
}

/// A thread for each connection.
fn stunnel(certificate: &str) -> Contender {
    let configuration = format!(
        "foreground = yes
syslog = no
debug = err
pid =
[tls]
accept = 127.0.0.1:{{port}}
connect = 127.0.0.1:{{target}}
cert = {certificate}
"
    );
    Contender::configured("stunnel", &["stunnel", "{configuration}"], configuration)
}

/// A process for each connection.
pub(super) fn socat() -> Contender {
    let listen = "TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,backlog=4096,fork";
    let words = ["socat", "-b", "61440", listen, "TCP4:127.0.0.1:{target}"];
    Contender::new("socat", &words)
}
