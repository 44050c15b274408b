//! `stream-socket connect`.

use std::fmt;

use stream_socket::{ConnectOptions, SocketAddress, SocketUrl, Stream, Target};

use crate::args::{ConnectArguments, LogFormat, Messages};
use crate::connect::{Exchange, Limits, Standard};
use crate::failure::Failure;
use crate::{options, output};

/// Connects, and moves bytes both ways until it is over.
pub(super) fn run(arguments: &ConnectArguments, messages: Messages) -> Result<(), Failure> {
    let ConnectArguments {
        url, timeout, wait, ..
    } = arguments;
    let mut options = options::connecting(url, &arguments.flags)?;
    options::weaken(url, &mut options, arguments.danger)?;
    options.connect_timeout = options.connect_timeout.or(*timeout);
    let merged = options::merged_connecting(url, &options)?;
    let stream = Stream::connect(url, &options)?;
    if arguments.is_verbose && !messages.is_quiet {
        let secured = Secured::of(&stream, url, &merged);
        tell(&stream, secured.as_ref(), messages.format)?;
    }
    let limits = Limits::new(*timeout, *wait, &merged);
    Exchange::new(stream, Standard::streams()?, limits, messages.is_quiet).run()
}

/// What was agreed upon for a connection over TLS, in words.
struct Secured {
    version: String,
    cipher: String,
    alpn: Option<String>,
    /// Whose certificate it is; `None` where that was not looked at.
    verified_for: Option<String>,
    is_pinned: bool,
    is_resumed: bool,
}

impl Secured {
    fn of(stream: &Stream, url: &SocketUrl, options: &ConnectOptions) -> Option<Self> {
        let facts = stream.tls()?;
        let ip = stream.peer_addr().and_then(SocketAddress::ip);
        let host = match (url.target(), ip) {
            (Target::Inet { host, .. }, _) => host.to_string(),
            // Of what is inherited.
            (_, Some(ip)) => ip.to_string(),
            (target, None) => target.to_string(),
        };
        let (alpn, tls) = (facts.alpn.as_deref(), &options.tls);
        let is_weakened = tls.danger_accept_any_certificate || tls.danger_accept_any_name;
        // Without authorities a fingerprint is enough.
        let is_verified = !is_weakened && (tls.fingerprint.is_empty() || tls.ca.is_some());
        Some(Self {
            version: facts.version.to_string(),
            cipher: facts.cipher.name.to_owned(),
            alpn: alpn.map(|name| name.escape_ascii().to_string()),
            verified_for: is_verified.then(|| tls.peer_name.clone().unwrap_or(host)),
            is_pinned: !tls.fingerprint.is_empty(),
            is_resumed: facts.resumed,
        })
    }
}

fn tell(stream: &Stream, secured: Option<&Secured>, format: LogFormat) -> Result<(), Failure> {
    let local = stream.local_addr()?.map(|address| address.to_string());
    match format {
        LogFormat::Text => {
            let local = local.as_deref().unwrap_or("an unnamed socket");
            output::note(format_args!("connected to {stream} from {local}"));
            if let Some(secured) = secured {
                output::note(secured);
            }
        }
        LogFormat::Json => tracing::info!(
            peer = %stream,
            local,
            tls = secured.map(|secured| &secured.version),
            cipher = secured.map(|secured| &secured.cipher),
            alpn = secured.and_then(|secured| secured.alpn.as_ref()),
            verified_for = secured.and_then(|secured| secured.verified_for.as_ref()),
            pinned = secured.map(|secured| secured.is_pinned),
            resumed = secured.map(|secured| secured.is_resumed),
            "connected"
        ),
    }
    Ok(())
}

/// `TLS 1.3, TLS_AES_256_GCM_SHA384, ALPN h2; the certificate is verified for example.org`
impl fmt::Display for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.version, self.cipher)?;
        match &self.alpn {
            Some(alpn) => write!(f, ", ALPN {alpn}")?,
            None => f.write_str(", no ALPN")?,
        }
        if self.is_resumed {
            f.write_str(", resumed")?;
        }
        match &self.verified_for {
            Some(name) => write!(f, "; the certificate is verified for {name}")?,
            None if self.is_pinned => f.write_str("; the certificate is one of those given")?,
            None => f.write_str("; whose certificate it is was not verified")?,
        }
        Ok(())
    }
}
