//! Telling people why no server let us in.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use async_nats::rustls;
use async_nats::{ConnectErrorKind as ClientErrorKind, ServerAddr, ServerError};

use super::config::NatsConfig;
use super::error::{ConnectError, ConnectErrorKind};

/// One server that was tried, and what came of it.
#[derive(Debug)]
pub(crate) struct Attempt {
    server: String,
    pub(crate) kind: ConnectErrorKind,
    reason: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.server, self.reason)
    }
}

impl Attempt {
    pub(crate) fn failed(server: &ServerAddr, error: &async_nats::ConnectError, limit: Duration) -> Self {
        let (kind, reason) = explain(error, limit);
        Self { server: shown(server), kind, reason }
    }

    pub(crate) fn timed_out(server: &ServerAddr, limit: Duration) -> Self {
        let (kind, reason) = silence(limit);
        Self { server: shown(server), kind, reason }
    }
}

/// The error for a list of servers none of which could be used.
pub(crate) fn of_attempts(config: &NatsConfig, attempts: &[Attempt]) -> ConnectError {
    let kind = overall_kind(attempts);
    let tries: Vec<String> = attempts.iter().map(Attempt::to_string).collect();
    let mut message = format!("cannot connect to NATS at {}", tries.join("; "));
    match kind {
        ConnectErrorKind::Authentication => message.push_str(&identity_hint(config)),
        _ if config.servers.is_empty() => {
            message.push_str(" (no server was named, so the default was tried; set nats.servers or NATS_URL)");
        }
        _ => {
            let source = config.source("servers");
            if source != super::config::Source::Explicit {
                message.push_str(&format!(" (servers from {source})"));
            }
        }
    }
    ConnectError::new(kind, message)
}

/// The kind that a person has to act on first.
fn overall_kind(attempts: &[Attempt]) -> ConnectErrorKind {
    let ranked = [
        ConnectErrorKind::Authentication,
        ConnectErrorKind::Tls,
        ConnectErrorKind::Config,
        ConnectErrorKind::Other,
        ConnectErrorKind::Unreachable,
        ConnectErrorKind::Timeout,
    ];
    let found = ranked.into_iter().find(|kind| attempts.iter().any(|attempt| attempt.kind == *kind));
    found.unwrap_or(ConnectErrorKind::Other)
}

fn identity_hint(config: &NatsConfig) -> String {
    let in_url = config.servers.iter().any(|server| server.credentials().is_some());
    match config.identities().first() {
        Some(&"user") => format!(
            "; signed in as user {:?} with the password of nats.{}",
            config.user.as_deref().unwrap_or_default(),
            config.labelled("password", "password")
        ),
        Some(field) => format!("; signed in with nats.{}", config.labelled(field, field)),
        None if in_url => format!("; signed in with the credentials in {}", config.labelled("nats.servers", "servers")),
        None if config.tls.cert_file.is_some() => "; signed in with the certificate of nats.tls.cert_file only".into(),
        None => "; no credentials are configured".into(),
    }
}

fn explain(error: &async_nats::ConnectError, limit: Duration) -> (ConnectErrorKind, String) {
    let cause = error.source();
    match error.kind() {
        ClientErrorKind::Dns => {
            (ConnectErrorKind::Unreachable, format!("the host name cannot be resolved{}", because(cause)))
        }
        ClientErrorKind::Authentication => {
            (ConnectErrorKind::Authentication, format!("the credentials cannot be used{}", because(cause)))
        }
        ClientErrorKind::AuthorizationViolation => {
            (ConnectErrorKind::Authentication, "the server refuses the credentials (authorization violation)".into())
        }
        ClientErrorKind::TimedOut => silence(limit),
        ClientErrorKind::Tls => (ConnectErrorKind::Tls, format!("TLS cannot be set up{}", because(cause))),
        ClientErrorKind::ServerParse => (ConnectErrorKind::Config, format!("not a server address{}", because(cause))),
        ClientErrorKind::Io | ClientErrorKind::MaxReconnects => explain_io(cause),
    }
}

fn silence(limit: Duration) -> (ConnectErrorKind, String) {
    (ConnectErrorKind::Timeout, format!("no answer within {limit:?} (nats.connect_timeout)"))
}

fn explain_io(cause: Option<&(dyn StdError + 'static)>) -> (ConnectErrorKind, String) {
    let Some(cause) = cause else {
        return (ConnectErrorKind::Other, "the connection failed".into());
    };
    if let Some(error) = cause.downcast_ref::<ServerError>() {
        return explain_server_error(error);
    }
    let Some(error) = cause.downcast_ref::<io::Error>() else {
        return (ConnectErrorKind::Other, cause.to_string());
    };
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return (ConnectErrorKind::Tls, explain_tls(tls));
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            (ConnectErrorKind::Unreachable, "connection refused (nothing listens there)".into())
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            (ConnectErrorKind::Unreachable, format!("no way to the host: {error}"))
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            (ConnectErrorKind::Unreachable, format!("the server closed the connection: {error}"))
        }
        _ => (ConnectErrorKind::Other, error.to_string()),
    }
}

fn explain_server_error(error: &ServerError) -> (ConnectErrorKind, String) {
    let text = match error {
        ServerError::Other(text) => text.clone(),
        other => other.to_string(),
    };
    let lower = text.to_lowercase();
    let kind = if lower.contains("auth") || lower.contains("account") {
        ConnectErrorKind::Authentication
    } else if lower.contains("tls") || lower.contains("secure connection") {
        ConnectErrorKind::Tls
    } else {
        ConnectErrorKind::Other
    };
    (kind, format!("the server says: {text}"))
}

fn explain_tls(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    let hint = match error {
        // A bad signature is an authority of the same name with another key.
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "; name the authority that signed the server's certificate in nats.tls.ca_file"
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "; the server wants a client certificate: nats.tls.cert_file and nats.tls.key_file"
        }
        Error::InvalidMessage(_) => "; is the server set up for TLS, and nats.tls.first the same on both sides?",
        _ => "",
    };
    format!("TLS: {error}{hint}")
}

fn because(cause: Option<&(dyn StdError + 'static)>) -> String {
    cause.map(|cause| format!(": {cause}")).unwrap_or_default()
}

/// Credentials were taken out of the address before it was used, so that it can be shown.
pub(crate) fn shown(server: &ServerAddr) -> String {
    format!("{}://{}:{}", server.scheme(), server.host(), server.port())
}
