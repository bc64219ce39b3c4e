//! What of a REST request goes into the audit ledger and the audit log, and the method that it is carried out with.

use super::super::audit::{AuditRecord, Envelope, Origin, asks, scope};
use super::super::listener::ConnectionInfo;
use super::answer::CLIENT_REQUEST_ID;
use crate::domain::{Error, Reason};
use crate::service::{AuditTrail, Scope};
use http::request::Parts;
use http::{HeaderName, Method, StatusCode};
use std::sync::{Arc, Mutex, PoisonError};

/// Stands for the method of a POST, for clients that can send no other (contract section 1).
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method");

/// The path of a secret, which holds a private key: reading it leaves a line.
const SECRET: &str = "/secrets/{secret_name}";
/// The outcome of a request whose caller went away before the answer, as proxies call it.
const GONE: &str = "499";

/// A record that is filled while the request is carried out.
pub(super) type Record = Arc<Mutex<AuditRecord>>;

/// The line of a request: that of what changes something, and of secrets that are read.
pub(super) struct Line<'a> {
    parts: &'a Parts,
    record: Record,
    scope: Arc<Scope>,
    told: bool,
}

impl<'a> Line<'a> {
    pub(super) fn begin(parts: &'a Parts, record: &Record) -> Self {
        let method = effective(parts);
        let changes = !reads(&method);
        let envelope = Envelope {
            face: "rest",
            method,
            origin: parts.extensions.get::<ConnectionInfo>().map(Origin::of),
            client_request_id: parts.headers.get(CLIENT_REQUEST_ID).cloned(),
        };
        let scope = scope(move |needs| asks(needs, changes), envelope, record);
        Self { parts, record: record.clone(), scope, told: false }
    }

    /// What the request is carried out in.
    pub(super) fn scope(&self) -> Arc<Scope> {
        self.scope.clone()
    }

    /// How the request was refused.
    pub(super) fn refused(&self, reason: Reason) {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).refused(reason);
    }

    /// Stores the record of the request where it has to be stored before the answer leaves.
    ///
    /// # Errors
    /// Where that failed, and so the answer must not leave.
    pub(super) async fn settle(&self, audit: &AuditTrail, status: StatusCode) -> Result<(), Error> {
        let told = self.record.lock().unwrap_or_else(PoisonError::into_inner).is_news();
        match told {
            Some(is_news) => audit.settle(&self.scope, status.as_str(), status.is_success(), is_news).await,
            None => Ok(()),
        }
    }

    pub(super) fn end(mut self, outcome: &str) -> &'static str {
        self.tell(outcome)
    }

    fn tell(&mut self, outcome: &str) -> &'static str {
        self.told = true;
        let method = effective(self.parts);
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = record.action.starts_with(SECRET) && !record.action.ends_with("/versions");
        if !reads(&method) || secret || record.right.is_told() {
            let origin = self.parts.extensions.get::<ConnectionInfo>().map(Origin::of);
            record.tell("rest", method.as_str(), origin, outcome);
        }
        record.action
    }
}

/// The caller disconnected and the request was dropped: it may have taken effect.
impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.tell(GONE);
        }
    }
}

fn reads(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// The method that a request asks for.
pub(super) fn method(parts: &Parts) -> Result<Method, Error> {
    let asked = parts.headers.get(METHOD_OVERRIDE).filter(|_| parts.method == Method::POST);
    let Some(asked) = asked else { return Ok(parts.method.clone()) };
    let known = [Method::PATCH, Method::PUT, Method::DELETE]
        .into_iter()
        .find(|method| asked.as_bytes().eq_ignore_ascii_case(method.as_str().as_bytes()));
    known.ok_or_else(|| Error::bad_parameter("The header X-HTTP-Method can be PATCH, PUT or DELETE."))
}

/// The method that is carried out, for audit and metrics: a deletion is one however it was asked for.
pub(super) fn effective(parts: &Parts) -> Method {
    method(parts).unwrap_or_else(|_| parts.method.clone())
}
