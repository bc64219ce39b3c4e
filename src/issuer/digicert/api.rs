//! Calls of the CertCentral Services API: the key in its header, the limits of the API kept, and the
//! key removed from whatever is shown.

use super::problem::Failure;
use super::settings::Access;
use super::wire::{self, ApiError};
use crate::clock::Clock;
use crate::outbound::{Exchange, Quota, Request, Response, credential_name, retry_after};
use crate::token_bucket::Rate;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The API allows 100 requests in 5 s and 1,000 in 3 min with one key.
const RATE: Rate = Rate { burst: 75, interval: Duration::from_millis(200) };
/// A chain or a list of orders.
const MAX_BODY: usize = 4 << 20;
const KEY_HEADER: &str = "x-dc-devkey";

/// The API with one key.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) http: Arc<dyn Exchange>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) access: Access,
}

impl Api {
    /// A name of the key that does not tell it.
    pub(super) fn credential(&self) -> String {
        credential_name(&self.access.base_url, &self.access.api_key)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json(&self.call(Method::GET, path, None).await?)
    }

    /// What is downloaded, as it is.
    pub(super) async fn download(&self, path: &str) -> Result<Response, Failure> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        self.json(&self.call(Method::POST, path, Some(body)).await?)
    }

    /// A `PUT` whose answer may be empty (204).
    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Response, Failure> {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(super) fn json<T: DeserializeOwned>(&self, response: &Response) -> Result<T, Failure> {
        serde_json::from_slice(&response.body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Failure::Unreadable(format!("DigiCert's answer is not what its API describes ({place})."))
        })
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response, Failure> {
        let quota = Quota { credential: self.credential(), rate: RATE };
        let mut request = Request::new(method, format!("{}{path}", self.access.base_url)).quota(quota);
        request.max_body = Some(MAX_BODY);
        let mut request = request
            .header("content-type", "application/json")
            .and_then(|request| request.header("accept", "*/*"))
            .and_then(|request| request.secret_header(KEY_HEADER, &self.access.api_key))
            .map_err(Failure::Transport)?;
        if let Some(body) = body {
            request.body = body.to_string().into();
        }
        let response = self.http.exchange(request).await.map_err(|error| match error.wait() {
            Some(wait) => Failure::Limit(wait),
            None => Failure::Transport(error),
        })?;
        if response.status.is_success() {
            return Ok(response);
        }
        let errors = wire::errors(&response.body).into_iter().map(|error| self.without_key(error)).collect();
        let retry_after = retry_after(response.text("retry-after"), self.clock.now());
        Err(Failure::Refused { status: response.status.as_u16(), errors, retry_after })
    }

    /// An error may repeat what it refuses.
    fn without_key(&self, error: ApiError) -> ApiError {
        let clean = |text: String| text.replace(&self.access.api_key, "[API key]");
        ApiError { code: clean(error.code), message: clean(error.message) }
    }
}
