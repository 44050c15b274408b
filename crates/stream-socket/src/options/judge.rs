//! Options that can't be meant: refused before any system call is made.

use std::time::Duration;

use super::connect::ConnectOptions;
use super::listen::ListenOptions;
use super::socket::SocketOptions;
use super::tls::{HandshakeTime, TlsVersion};
use crate::network::Network;
use crate::proxy_protocol::{ProxyReading, ProxyVersion};
use crate::url::{SocketUrl, Target, Transport};

/// A client resumes with one at a time, and browsers keep no more.
const MOST_TICKETS: u32 = 100;

/// Why the options can't be, if they can't.
type Judgement = Result<(), String>;

/// Of every socket.
pub(super) fn socket(options: &SocketOptions) -> Judgement {
    whole_seconds("linger", options.linger)?;
    whole_seconds("keepalive_idle", options.keepalive_idle)?;
    whole_seconds("keepalive_interval", options.keepalive_interval)?;
    let implying = [
        ("keepalive_idle", options.keepalive_idle.is_some()),
        ("keepalive_interval", options.keepalive_interval.is_some()),
        ("keepalive_count", options.keepalive_count.is_some()),
    ];
    match implying.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) if options.keepalive == Some(false) => {
            Err(format!("option {name} needs keepalive"))
        }
        _ => Ok(()),
    }
}

/// Of a connecting stream.
pub(super) fn connect(options: &ConnectOptions, url: &SocketUrl) -> Judgement {
    let tls = &options.tls;
    if tls.key.is_some() && tls.certificate.is_none() {
        return Err("option key needs certificate".to_owned());
    }
    versions(url.transport(), tls.min_version, tls.max_version)?;
    socket(&options.socket)?;
    if options.send_proxy == Some(ProxyVersion::V1) && url.transport().is_datagram() {
        return Err("option send_proxy is v1, which is made for streams; take v2".to_owned());
    }
    Ok(())
}

/// Of a bound socket.
pub(super) fn listen(options: &ListenOptions, url: &SocketUrl) -> Judgement {
    socket(&options.socket)?;
    whole_seconds("defer_accept", options.defer_accept)?;
    let limits = [
        ("max_connections", options.max_connections),
        ("max_connections_per_ip", options.max_connections_per_ip),
    ];
    if let Some((name, _)) = limits.iter().find(|(_, limit)| *limit == Some(0)) {
        return Err(format!(
            "option {name} is 0, so that nobody would be served"
        ));
    }
    let spans = [
        ("idle_timeout", options.idle_timeout),
        ("lifetime", options.lifetime),
    ];
    if let Some((name, _)) = spans.iter().find(|(_, span)| *span == Some(Duration::ZERO)) {
        return Err(format!(
            "option {name} is 0s, so that nobody would be served; take never for no limit"
        ));
    }
    if url.transport().is_tls() {
        let tls = &options.tls;
        match (tls.certificate.is_some(), tls.self_signed == Some(true)) {
            (false, false) => return Err("option certificate is missing".to_owned()),
            (true, true) => {
                return Err("options certificate and self_signed exclude each other".to_owned());
            }
            _ => {}
        }
        let asks_clients = tls.client_ca.is_some() || tls.danger_accept_self_signed;
        let for_clients = [
            ("client_optional", tls.client_optional.is_some()),
            ("verify_depth", tls.verify_depth.is_some()),
            ("check", tls.check.is_some()),
        ];
        match for_clients.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) if !asks_clients => {
                return Err(format!("option {name} needs client_ca"));
            }
            _ => {}
        }
        if tls.tickets.is_some_and(|count| count > MOST_TICKETS) {
            return Err(format!("option tickets is more than {MOST_TICKETS}"));
        }
        versions(url.transport(), tls.min_version, tls.max_version)?;
    }
    proxied(options, url)?;
    has_file(options, url)
}

/// Whose word is taken for whose connection it is has to be said.
fn proxied(options: &ListenOptions, url: &SocketUrl) -> Judgement {
    let from = options.proxy_from.iter();
    if let Some(why) = from.map(|text| Network::parse(text)).find_map(Result::err) {
        return Err(format!("option proxy_from takes {why}"));
    }
    let is_required = options.proxy_protocol == Some(ProxyReading::Required);
    let has_addresses = url.transport().is_inet();
    let given = [
        ("proxy_from", !options.proxy_from.is_empty()),
        ("proxy_timeout", options.proxy_timeout.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) if !is_required => {
            Err(format!("option {name} needs proxy_protocol=required"))
        }
        _ if is_required && has_addresses && options.proxy_from.is_empty() => Err(
            "option proxy_protocol needs proxy_from: the networks whose headers are believed"
                .to_owned(),
        ),
        _ if is_required && options.tls.handshake == Some(HandshakeTime::FirstUse) => {
            Err("option proxy_protocol needs handshake=accept".to_owned())
        }
        _ => Ok(()),
    }
}

/// A transport that names its version leaves nothing to choose.
fn versions(
    transport: Transport,
    oldest: Option<TlsVersion>,
    newest: Option<TlsVersion>,
) -> Judgement {
    let named = match transport {
        Transport::Tlsv12 => Some(TlsVersion::V1_2),
        Transport::Tlsv13 => Some(TlsVersion::V1_3),
        _ => None,
    };
    let (from, to) = (
        oldest.unwrap_or(TlsVersion::V1_2),
        newest.unwrap_or(TlsVersion::V1_3),
    );
    match named {
        _ if from > to => Err("option min_version is newer than max_version".to_owned()),
        Some(named) if named < from || named > to => Err(format!(
            "{transport} is ruled out by min_version or max_version"
        )),
        _ => Ok(()),
    }
}

/// A name without a file has no mode, owner or group.
fn has_file(options: &ListenOptions, url: &SocketUrl) -> Judgement {
    let is_abstract = match url.target() {
        Target::Unix(unix) => unix.as_abstract().is_some(),
        target => *target == Target::Autobind,
    };
    let unix = &options.unix;
    let given = [
        ("mode", unix.mode.is_some()),
        ("owner", unix.owner.is_some()),
        ("group", unix.group.is_some()),
        ("unlink", unix.unlink.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) if is_abstract => Err(format!(
            "option {name} applies to paths, not to abstract names"
        )),
        _ => Ok(()),
    }
}

/// The system would drop a part of a second in silence.
fn whole_seconds(name: &str, span: Option<Duration>) -> Judgement {
    if span.is_some_and(|span| span.subsec_nanos() != 0 || span == Duration::MAX) {
        return Err(format!("option {name} takes whole seconds"));
    }
    Ok(())
}
