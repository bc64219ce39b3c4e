//! Why no response was received, without secrets.

use std::fmt;
use std::time::Duration;

/// What went wrong on the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// The request itself cannot be sent: address, header or method.
    Request,
    /// The client's settings are unusable: roots, proxy.
    Settings,
    /// No connection: name not found, refused, unreachable, or the proxy said no.
    Connect,
    /// The peer's certificate was not accepted, or the handshake failed.
    Tls,
    /// One of the bounds of [`super::Timeouts`] passed.
    Timeout,
    /// The connection broke, or what came was not HTTP.
    Protocol,
    /// The answer is larger than allowed.
    TooLarge,
    /// More redirects than asked for, or one that is not followed.
    Redirect,
    /// Not sent: the requests of its credential would be more than are allowed ([`Error::wait`]).
    Limited,
}

/// No answer. The text names the host and the cause, and never a header, a query or a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    pub kind: ErrorKind,
    message: String,
    wait: Option<Duration>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), wait: None }
    }

    /// A request that was not sent, and comes to its turn after this time.
    pub(super) fn limited(place: &str, wait: Duration) -> Self {
        let message = format!("The limit of requests to {place} is reached; the next ones follow.");
        Self { kind: ErrorKind::Limited, message, wait: Some(wait) }
    }

    /// How long until the request may be sent, where it was held back.
    pub fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// Whether the server cannot have got the request.
    pub fn was_not_sent(&self) -> bool {
        matches!(self.kind, ErrorKind::Request | ErrorKind::Settings | ErrorKind::Connect | ErrorKind::Limited)
    }

    /// Whether waiting can cure it. A certificate that is not trusted, or unusable settings, need
    /// a person.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Protocol | ErrorKind::Limited => true,
            ErrorKind::Request | ErrorKind::Settings | ErrorKind::Tls | ErrorKind::TooLarge | ErrorKind::Redirect => {
                false
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The causes of an error in one line, without repetitions.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// The cause of a handshake that failed, in words where the TLS library has only a name for it.
pub(super) fn tls_cause(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)))
            if other.to_string() == "CaUsedAsEndEntity" =>
        {
            "the server shows a CA certificate (CA:TRUE, as openssl req -x509 makes) as its own; give it one that a CA \
             signed, with CA:FALSE, and name that CA in ca_file"
                .to_owned()
        }
        _ => causes(error),
    }
}

/// Finds an error of ours below what the HTTP library wrapped around it.
pub(super) fn ours<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<Error>() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}
