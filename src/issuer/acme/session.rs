//! Requests to one CA: its directory, its nonces, signed requests. Shared by all orders of an issuer
//! object; holds nothing that a crash would lose.

use super::jws::AccountKey;
use super::problem::{Failure, Place};
use super::wire::{Directory, Problem};
use crate::clock::Clock;
use crate::outbound::{Exchange, Request, Response, retry_after};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A refused nonce comes with a fresh one, so a repeat costs one request. After so many the step
/// ends and is repeated later.
const NONCE_TRIES: usize = 6;
/// Nonces that are kept: one for each request that is under way.
const NONCES: usize = 64;
/// How long a directory is cached.
const DIRECTORY_AGE: Duration = Duration::from_secs(3600);

pub(super) struct Session {
    http: Arc<dyn Exchange>,
    clock: Arc<dyn Clock>,
    directory_url: String,
    directory: Mutex<Option<(Instant, Arc<Directory>)>>,
    nonces: Mutex<Vec<String>>,
}

/// A response, with its parsed headers.
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) retry_after: Option<Duration>,
}

impl Answer {
    /// The address of what was made.
    pub(super) fn location(&self) -> Result<String, Failure> {
        let location = self.response.text("location").filter(|url| url.starts_with("https://"));
        location.map(str::to_owned).ok_or_else(|| Failure::Unreadable("The CA's answer names no address.".to_owned()))
    }

    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.response.body)
            .map_err(|error| Failure::Unreadable(format!("The CA's answer is not what RFC 8555 describes: {error}.")))
    }
}

impl Session {
    pub(super) fn new(http: Arc<dyn Exchange>, clock: Arc<dyn Clock>, directory_url: String) -> Self {
        Self { http, clock, directory_url, directory: Mutex::default(), nonces: Mutex::default() }
    }

    /// The directory, from memory while it is fresh.
    pub(super) async fn directory(&self) -> Result<Arc<Directory>, Failure> {
        let known = self.directory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, directory)) = known.filter(|(since, _)| since.elapsed() < DIRECTORY_AGE) {
            return Ok(directory);
        }
        let mut request = Request::get(self.directory_url.as_str());
        request.redirects = 3;
        let answer = self.send(request, Place::Directory).await?;
        let directory: Arc<Directory> = Arc::new(answer.json()?);
        let mut known = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), Arc::clone(&directory)));
        Ok(directory)
    }

    /// A signed request; `None` is a POST-as-GET. A refused nonce is replaced at once.
    pub(super) async fn post(
        &self,
        key: &AccountKey,
        kid: Option<&str>,
        url: &str,
        payload: Option<&Value>,
        place: Place,
    ) -> Result<Answer, Failure> {
        let mut tries = 1;
        loop {
            let nonce = self.nonce().await?;
            let body = key.sign(kid, Some(&nonce), url, payload).map_err(Failure::Internal)?;
            let request = Request::post(url, "application/jose+json", body.to_string());
            match self.send(request, place).await {
                Err(Failure::Problem { problem, .. }) if problem.name() == "badNonce" && tries < NONCE_TRIES => {
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    /// An unsigned read.
    pub(super) async fn get(&self, url: &str, place: Place) -> Result<Answer, Failure> {
        self.send(Request::get(url), place).await
    }

    async fn nonce(&self) -> Result<String, Failure> {
        let kept = self.nonces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(nonce) = kept {
            return Ok(nonce);
        }
        let directory = self.directory().await?;
        let answer = self.send(Request::new(http::Method::HEAD, directory.new_nonce.as_str()), Place::Directory).await;
        // The nonce of this answer was put among the others.
        answer?;
        let kept = self.nonces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.ok_or_else(|| Failure::Unreadable("The CA gave no nonce.".to_owned()))
    }

    async fn send(&self, request: Request, place: Place) -> Result<Answer, Failure> {
        let response = self.http.exchange(request).await.map_err(Failure::Transport)?;
        if let Some(nonce) = response.text("replay-nonce") {
            let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
            if nonces.len() >= NONCES {
                nonces.remove(0);
            }
            nonces.push(nonce.to_owned());
        }
        let retry_after = retry_after(response.text("retry-after"), self.clock.now());
        if response.status.is_success() {
            return Ok(Answer { response, retry_after });
        }
        // A proxy's page is no problem document; the status still says something.
        let problem: Problem = serde_json::from_slice(&response.body).unwrap_or_default();
        Err(Failure::Problem { place, status: response.status.as_u16(), problem, retry_after })
    }
}
