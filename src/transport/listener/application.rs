//! The application behind a connection: each request gets its connection info and a budget account; requests above a
//! limit are refused here, for both APIs.

use super::account::Account;
use super::bodies::{AnswerBody, RequestBody};
use super::budget::Overrun;
use super::connection::ConnectionInfo;
use super::connections::Connection;
use crate::transport::cors;
use crate::transport::refusal::Asked;
use bytes::Bytes;
use futures_util::future::{AbortHandle, Abortable};
use http::{HeaderMap, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio_util::task::TaskTracker;

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a request is refused before, or in place of, the application.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// A limit of the budget.
    Budget(Overrun),
    /// The head has more fields than so many.
    Fields(usize),
}

/// The length of a body that does not announce it: an extension of answers that are whole when they are ready.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLength(pub usize);

tokio::task_local! {
    /// Ends the task of an HTTP/2 stream.
    static ABORT: AbortHandle;
}

/// What the requests of one connection go through. It is always ready: what waits for that would lie in every open
/// stream.
pub(super) struct App<S> {
    pub(super) inner: S,
    pub(super) info: ConnectionInfo,
    pub(super) connection: Arc<Connection>,
    pub(super) max_fields: usize,
    pub(super) requests: AtomicU64,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for App<S>
where
    S: tower::Service<Request<RequestBody>, Response = Response<B>> + Clone,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Response = Response<AnswerBody<B>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let account = Account::open(&self.connection, self.requests.fetch_add(1, Relaxed), &request);
        let refusing = Refusing { asked: Asked::of(request.headers()), account };
        if request.headers().len() > self.max_fields {
            let why = Refusal::Fields(self.max_fields);
            // In the task of the stream: an answer that stays unread ends with it, and not with the connection.
            return Box::pin(async move { Ok(refusing.refuse(why, &HeaderMap::new())) });
        }
        let account = refusing.account.clone();
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(self.info.clone());
        parts.extensions.insert(account.clone());
        let answer = self.inner.clone().call(Request::from_parts(parts, RequestBody::new(body, account)));
        Box::pin(async move { Ok(refusing.counted(answer.await.map_err(Into::into)?)) })
    }
}

struct Refusing {
    asked: Asked,
    account: Account,
}

impl Refusing {
    /// The answer of the application, or the refusal that takes its place.
    fn counted<B: Body<Data = Bytes>>(self, response: Response<B>) -> Response<AnswerBody<B>> {
        if let Err(cause) = self.account.answered() {
            return self.refuse(Refusal::Budget(cause), response.headers());
        }
        let exact = || response.body().size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let whole = response.extensions().get::<AnswerLength>().map(|AnswerLength(bytes)| *bytes);
        let length = whole.or_else(exact).filter(|_| !response.body().is_end_stream());
        let announced = match length.map(|bytes| self.account.answer(bytes)) {
            Some(Err(cause)) => return self.refuse(Refusal::Budget(cause), response.headers()),
            Some(Ok(charge)) => Some(charge),
            None => None,
        };
        if !response.body().is_end_stream() {
            self.account.begins(ABORT.try_with(AbortHandle::clone).ok());
        }
        response.map(|body| AnswerBody::of(body, announced, self.account))
    }

    /// `replaced` is the head of the answer that the refusal takes the place of.
    fn refuse<B>(self, why: Refusal, replaced: &HeaderMap) -> Response<AnswerBody<B>> {
        let mut refused = self.asked.refuse(&why);
        cors::carry_over(replaced, refused.headers_mut());
        if let Refusal::Budget(cause) = why {
            self.account.refused(cause);
        }
        if !self.account.may_explain() {
            *refused.body_mut() = Bytes::new();
        }
        if !refused.body().is_empty() {
            self.account.begins(ABORT.try_with(AbortHandle::clone).ok());
        }
        refused.map(|bytes| AnswerBody::own(bytes, self.account))
    }
}

/// Runs the tasks of HTTP/2 streams so that shutdown can wait for them, and unread responses can end them.
#[derive(Clone)]
pub(super) struct Tracked(pub(super) TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        let (abort, registration) = AbortHandle::new_pair();
        self.0.spawn(ABORT.scope(abort, Abortable::new(task, registration)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::{Budget, BudgetOptions};
    use super::super::connections::Connections;
    use super::*;
    use http::HeaderValue;
    use http_body_util::Full;
    use std::net::IpAddr;

    #[tokio::test]
    async fn a_refusal_in_place_of_an_answer_keeps_what_pages_and_clients_need() {
        let options = BudgetOptions { principal_bytes: 32 * 1024, ..BudgetOptions::default() };
        let entry = Connections::new(Budget::new(options)).enter(1, IpAddr::from([192, 0, 2, 1]));
        let request = Request::builder().header("x-ms-client-request-id", "mine").body(()).unwrap();
        let account = Account::open(&entry.connection, 1, &request);
        account.identify("alice").unwrap();
        let refusing = Refusing { asked: Asked::of(request.headers()), account };
        let answer = Response::builder()
            .header("vary", "origin")
            .header("access-control-allow-origin", "https://console.example")
            .header("access-control-expose-headers", "retry-after")
            .header("location", "https://elsewhere.example")
            .body(Full::new(Bytes::from(vec![b'x'; 100_000])))
            .unwrap();
        let refused = refusing.counted(answer);
        assert_eq!(refused.status(), 503);
        let header = |name: &str| refused.headers().get(name).map(HeaderValue::as_bytes);
        assert_eq!(header("vary"), Some(&b"origin"[..]));
        assert_eq!(header("access-control-allow-origin"), Some(&b"https://console.example"[..]));
        assert_eq!(header("access-control-expose-headers"), Some(&b"retry-after"[..]));
        assert_eq!(header("x-ms-client-request-id"), Some(&b"mine"[..]));
        assert_eq!(header("location"), None);
    }
}
