//! A receiver on loopback that writes down what it gets, and answers as a test says.

use crate::peers::until;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// Of a CloudEvent.
    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn subject(&self) -> String {
        self.json()["subject"].as_str().unwrap_or_default().to_owned()
    }
}

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// Never.
    Hang,
    /// With 200, this header, and the validation code that came, where `agrees` is set.
    Handshake {
        origin: &'static str,
        agrees: bool,
    },
    /// 200 for all certificates but this one, which gets 500.
    AllBut(&'static str),
}

struct Inner {
    got: Mutex<Vec<Got>>,
    answer: Mutex<Answer>,
}

/// A receiver that listens, until it is stopped.
pub(crate) struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Inner { got: Mutex::default(), answer: Mutex::new(Answer::Status(200)) });
        let port = crate::ports::free_port();
        let this = Self { address: ([127, 0, 0, 1], port).into(), inner, task: Mutex::default() };
        this.come_back().await;
        this
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?key=1", self.address)
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.inner.answer.lock().unwrap() = answer;
    }

    /// Nobody listens from here on, and open connections are closed.
    pub(crate) async fn go(&self) {
        let task = self.task.lock().unwrap().take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }

    pub(crate) async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let app = Router::new().fallback(take).with_state(self.inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        *self.task.lock().unwrap() = Some(task);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.inner.got.lock().unwrap().clone()
    }

    /// The types of the events about this certificate, in the order in which they came first.
    pub(crate) fn kinds(&self, certificate: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let mut kinds = Vec::new();
        for got in self.got().into_iter().filter(|got| got.subject() == certificate) {
            let id = got.header("webhook-id").to_owned();
            if !seen.contains(&id) {
                seen.push(id);
                kinds.push(got.kind());
            }
        }
        kinds
    }

    /// Waits for an event of this type about the certificate.
    pub(crate) async fn gets(&self, certificate: &str, kind: &str) {
        until(&format!("{kind} of {certificate}"), || async { self.kinds(certificate).iter().any(|it| it == kind) })
            .await;
    }
}

async fn take(State(inner): State<Arc<Inner>>, method: Method, headers: HeaderMap, bytes: Bytes) -> Response {
    let got = Got { method, headers, bytes };
    let answer = inner.answer.lock().unwrap().clone();
    inner.got.lock().unwrap().push(got.clone());
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Hang => std::future::pending().await,
        Answer::AllBut(certificate) if got.subject() == certificate => {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Answer::AllBut(_) => StatusCode::OK.into_response(),
        Answer::Handshake { origin, agrees } => {
            let code = serde_json::from_slice::<Value>(&got.bytes).unwrap_or_default();
            let code = code[0]["data"]["validationCode"].clone();
            let body = if agrees { serde_json::json!({ "validationResponse": code }) } else { Value::Null };
            let header = (HeaderName::from_static("webhook-allowed-origin"), origin);
            ([header], body.to_string()).into_response()
        }
    }
}
