//! Calls of the HVCA API with one API key: the login, its token, the limit of requests, errors read and cleaned.

use super::problem::Failure;
use super::settings::Settings;
use super::wire::{self, Certificate, Issued, Login, Problem, ValidationPolicy};
use crate::clock::Clock;
use crate::issuer::answers::pem_chain;
use crate::outbound::{Exchange, Quota, Request, Response, credential_name, retry_after};
use crate::token_bucket::Rate;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// GlobalSign names no limit; each certificate is four calls.
const RATE: Rate = Rate { burst: 60, interval: Duration::from_millis(50) };
/// A token is good for ten minutes.
const TOKEN_AGE: Duration = Duration::from_secs(9 * 60);
const MAX_BODY: usize = 4 << 20;
/// Lines of a page, and pages of a list.
const PER_PAGE: usize = 100;
const PAGES: usize = 100;

/// One API key. Holds nothing that a crash would lose.
pub(super) struct Account {
    http: Arc<dyn Exchange>,
    clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    token: Mutex<Option<(Zeroizing<String>, Instant)>>,
}

impl Account {
    pub(super) fn new(http: Arc<dyn Exchange>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self { http, clock, settings, token: Mutex::default() }
    }

    /// Asks for a certificate. Answers its serial number.
    pub(super) async fn request(&self, body: &Value) -> Result<String, Failure> {
        let answer = self.call(Method::POST, "/certificates", Some(body)).await?;
        let serial = answer.text("location").and_then(|place| place.trim_end_matches('/').rsplit('/').next());
        let hex = |serial: &&str| (1..=64).contains(&serial.len()) && serial.bytes().all(|b| b.is_ascii_hexdigit());
        let none = || Failure::Unreadable("GlobalSign's answer names no certificate.".to_owned());
        serial.filter(hex).map(str::to_owned).ok_or_else(none)
    }

    /// A certificate; none as long as it is being made.
    pub(super) async fn certificate(&self, serial: &str) -> Result<Option<Certificate>, Failure> {
        let answer = self.call(Method::GET, &format!("/certificates/{serial}"), None).await?;
        if answer.status == http::StatusCode::ACCEPTED {
            return Ok(None);
        }
        read(&answer).map(Some)
    }

    /// The certificates above, in no particular order.
    pub(super) async fn trust_chain(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let chain: Vec<String> = self.get("/trustchain").await?;
        let unreadable = || Failure::Unreadable("GlobalSign's trust chain cannot be read.".to_owned());
        if chain.is_empty() {
            return Ok(Vec::new());
        }
        pem_chain(chain.join("\n").as_bytes()).ok_or_else(unreadable)
    }

    /// How many seconds a certificate may be valid; none where the account's policy does not say.
    pub(super) async fn longest_validity(&self) -> Result<Option<i64>, Failure> {
        let policy: ValidationPolicy = self.get("/validationpolicy").await?;
        Ok(policy.validity.map(|validity| validity.secondsmax).filter(|seconds| *seconds > 0))
    }

    pub(super) async fn quota(&self) -> Result<u64, Failure> {
        let counter: wire::Counter = self.get("/quotas/issuance").await?;
        Ok(counter.value)
    }

    /// What was issued between these times, in seconds since the epoch.
    pub(super) async fn issued(&self, from: i64, to: i64) -> Result<Vec<Issued>, Failure> {
        let mut found: Vec<Issued> = Vec::new();
        for page in 1..=PAGES {
            let path = format!("/stats/issued?page={page}&per_page={PER_PAGE}&from={from}&to={to}");
            let answer = self.call(Method::GET, &path, None).await?;
            let lines: Vec<Issued> = read(&answer)?;
            let total = answer.text("total-count").and_then(|count| count.parse::<usize>().ok());
            let last = lines.is_empty();
            found.extend(lines);
            if last || total.is_none_or(|total| found.len() >= total) {
                return Ok(found);
            }
        }
        let most = PAGES * PER_PAGE;
        Err(Failure::Unreadable(format!("GlobalSign lists more than {most} certificates since the request.")))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        read(&self.call(Method::GET, path, None).await?)
    }

    /// A call with a token. One that is refused is replaced once.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response, Failure> {
        let token = self.token(None).await?;
        match self.send(method.clone(), path, body, Some(&token)).await {
            Err(Failure::Refused { status: 401, .. }) => {
                let token = self.token(Some(&token)).await?;
                self.send(method, path, body, Some(&token)).await
            }
            answer => answer,
        }
    }

    /// The token that is there, or a new one; never `refused`. Whoever comes while one is made waits for it.
    async fn token(&self, refused: Option<&str>) -> Result<Zeroizing<String>, Failure> {
        let mut kept = self.token.lock().await;
        if let Some((token, since)) = kept.as_ref()
            && since.elapsed() < TOKEN_AGE
            && refused != Some(token.as_str())
        {
            return Ok(token.clone());
        }
        *kept = None;
        let token = self.login().await.map_err(|failure| Failure::Login(Box::new(failure)))?;
        *kept = Some((token.clone(), Instant::now()));
        Ok(token)
    }

    async fn login(&self) -> Result<Zeroizing<String>, Failure> {
        let body = json!({"api_key": self.settings.api_key, "api_secret": self.settings.api_secret});
        let answer = self.send(Method::POST, "/login", Some(&body), None).await?;
        let Login { access_token } = read(&answer)?;
        Ok(Zeroizing::new(access_token))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: Option<&str>,
    ) -> Result<Response, Failure> {
        let Settings { base_url, api_key, .. } = &self.settings;
        let quota = Quota { credential: credential_name(base_url, api_key), rate: RATE };
        let mut request = Request::new(method, format!("{base_url}{path}")).quota(quota);
        request.max_body = Some(MAX_BODY);
        if let Some(token) = token {
            let value = Zeroizing::new(format!("Bearer {token}"));
            request = request.secret_header("authorization", &value).map_err(Failure::Transport)?;
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json;charset=utf-8").map_err(Failure::Transport)?;
            request.body = body.to_string().into();
        }
        let response = self.http.exchange(request).await.map_err(Failure::Transport)?;
        if response.status.is_success() {
            return Ok(response);
        }
        let after = retry_after(response.text("retry-after"), self.clock.now());
        let Problem { description } = serde_json::from_slice(&response.body).unwrap_or_default();
        // An error may repeat what it refuses.
        let mut description = description.replace(&self.settings.api_secret, "[secret]");
        if let Some(token) = token {
            description = description.replace(token, "[token]");
        }
        Err(Failure::Refused { status: response.status.as_u16(), description, after })
    }
}

fn read<T: DeserializeOwned>(response: &Response) -> Result<T, Failure> {
    serde_json::from_slice(&response.body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::Unreadable(format!("GlobalSign's answer is not what its API describes ({place})."))
    })
}
