//! Validating the names of an order (RFC 8555 section 7.5): a challenge response for each pending authorization,
//! published before the CA is asked to validate.

use super::names;
use super::problem::{Failure, Place};
use super::responder::MAX_TOKEN;
use super::state::{Answer, DnsRecord, Method, OpenOrder, Phase};
use super::steps::{Run, Stop};
use super::wire::{self, AuthorizationStatus};
use crate::domain::text;
use crate::issuer::FailureClass;
use crate::issuer::IssuerError;
use crate::issuer::dns::{self, Persistent, Seen};
use crate::issuer::provider::{Action, ActionKind, Challenge, Progress};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use std::time::Duration;

/// Requests to the CA that are under way at once for one order.
const AT_ONCE: usize = 8;
/// Records of challenges are of no use after this; an order lives for days at most.
const LIFE: Duration = Duration::from_secs(14 * 24 * 3600);
/// In bytes; less than the bound of the port, since reasons are added later.
const CHECKPOINT: usize = 60 * 1024;
/// Records that still cannot be seen after so many looks are written again.
const WRITE_AGAIN: u32 = 8;

impl Run<'_> {
    pub(super) async fn authorizations(&self, urls: &[String]) -> Result<Vec<(String, wire::Authorization)>, Failure> {
        // A plain vector of futures: the requests borrow from the run.
        let mut reads = Vec::with_capacity(urls.len());
        for url in urls {
            reads.push(async move {
                let answer = self.post(url, None, Place::Order).await?;
                Ok::<_, Failure>((url.clone(), answer.json::<wire::Authorization>()?))
            });
        }
        stream::iter(reads).buffered(AT_ONCE).try_collect().await
    }

    /// Chooses an answer for each name that is not proved yet, and publishes what replicas serve.
    pub(super) async fn choose(&mut self, mut open: OpenOrder) -> Result<Progress, Stop> {
        let mut dead = false;
        for (url, authorization) in self.authorizations(&open.authorizations).await? {
            match authorization.status {
                AuthorizationStatus::Valid => {}
                AuthorizationStatus::Pending => open.answers.push(self.answer(&url, authorization)?),
                _ => dead = true,
            }
        }
        if dead {
            // The order cannot become valid any more; the CA says why.
            open.phase = Phase::Asked;
            let answer = self.post(&open.url, None, Place::Order).await?;
            return self.invalid(&answer.json()?).await;
        }
        open.phase = if open.answers.is_empty() { Phase::Asked } else { Phase::Answered };
        open.authorizations = Vec::new();
        open.method = Some(self.state.settings.method);
        open.thumbprint = self.key.thumbprint();
        // Noted before it is done, so that a crash leaves no record behind.
        open.written = open.method == Some(Method::Dns01);
        let expires = self.tools.clock.now().plus(LIFE);
        let served = open.served().into_iter();
        let publish = served.map(|(key, key_authorization)| Challenge { key, key_authorization, expires }).collect();
        self.saved.order = Some(open);
        if self.saved.write().0.len() > CHECKPOINT {
            return Ok(self
                .fail(
                    FailureClass::RequestRejected,
                    "The names of the certificate are too many or too long for one order.".to_owned(),
                )
                .await);
        }
        let mut progress = self.pending(Duration::ZERO, None);
        progress.publish = publish;
        Ok(progress)
    }

    fn answer(&self, url: &str, authorization: wire::Authorization) -> Result<Answer, Stop> {
        let method = self.state.settings.method;
        let domain = authorization.identifier.value.to_ascii_lowercase();
        // It is handed to DNS services and programs, with the rights of this server.
        let ordered = names::identifiers(&self.order.policy, method).unwrap_or_default();
        if !names::is_proved_for(&ordered, &domain) {
            let shown = text::shown(&domain);
            let text = format!("The CA wants a proof of {shown}, which is none of the names of the order.");
            return Err(Stop::Port(IssuerError::Misconfigured { source: text.into() }));
        }
        let challenge = authorization.challenges.iter().find(|challenge| challenge.kind == method.name());
        let token = challenge.map(|challenge| challenge.token.clone().unwrap_or_default());
        let fits = |token: &String| {
            // The token becomes a path (section 8.3) and the key of a record; dns-persist-01 has none.
            (method == Method::DnsPersist01 || !token.is_empty())
                && token.len() <= MAX_TOKEN
                && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let (Some(challenge), Some(token)) = (challenge, token.filter(fits)) else {
            let offered: Vec<&str> = authorization.challenges.iter().map(|one| one.kind.as_str()).collect();
            let text = format!(
                "The CA does not offer {} for {domain}; it offers {}. Change the option challenge.",
                method.name(),
                offered.join(", ")
            );
            return Err(Stop::Port(IssuerError::Misconfigured { source: text.into() }));
        };
        Ok(Answer {
            identifier: domain,
            wildcard: authorization.wildcard,
            authorization: self.short(url),
            challenge: self.short(&challenge.url),
            token,
            issuer_domains: challenge.issuer_domain_names.clone(),
        })
    }

    /// Makes the answers visible, looks whether they are, and asks the CA to look.
    pub(super) async fn prove(&mut self, mut open: OpenOrder) -> Result<Progress, Stop> {
        let records: Vec<dns::TxtRecord> = open.records().iter().map(DnsRecord::txt).collect();
        if !records.is_empty() {
            let settings = self.dns()?;
            if open.phase == Phase::Answered {
                let solver = dns::solver(settings, self.tools)?;
                open.done = dns::write(&*solver, &records, open.done).await?;
                if open.done < records.len() {
                    let text = format!("{} of {} TXT records are written.", open.done, records.len());
                    self.saved.order = Some(open);
                    return Ok(self.pending(Duration::ZERO, Some(text)).quiet());
                }
                open.phase = Phase::Written;
            }
            if settings.check
                && let Seen::Missing(text) = dns::visible(settings, &records).await?
            {
                if open.polls % WRITE_AGAIN == WRITE_AGAIN - 1 {
                    (open.phase, open.done) = (Phase::Answered, 0);
                }
                self.saved.order = Some(open);
                return Ok(self.poll(None, text, Vec::new()).quiet());
            }
        }
        let (missing, actions) = self.lasting(&open).await?;
        if let Some(text) = missing {
            self.saved.order = Some(open);
            return Ok(self.poll(None, text, actions).quiet());
        }
        let asked: Vec<_> = open.answers.iter().map(|answer| self.ask(answer)).collect();
        let _: Vec<()> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        open.phase = Phase::Asked;
        open.polls = 0;
        self.saved.order = Some(open);
        Ok(self.poll(None, "The CA was asked to validate the names.".to_owned(), Vec::new()))
    }

    fn dns(&self) -> Result<&dns::DnsSettings, Stop> {
        self.state
            .settings
            .dns
            .as_ref()
            .ok_or_else(|| Stop::Port(IssuerError::Misconfigured { source: "The options for DNS are not set.".into() }))
    }

    /// Lasting records (dns-persist-01) that are missing, in words and as what has to be done. They
    /// are never written here: one record holds for all orders of the account.
    async fn lasting(&self, open: &OpenOrder) -> Result<(Option<String>, Vec<Action>), Stop> {
        let (mut missing, mut actions) = (None, Vec::new());
        if open.method != Some(Method::DnsPersist01) {
            return Ok((missing, actions));
        }
        for answer in &open.answers {
            let settings = self.dns()?;
            let directory = self.session.directory().await?;
            let issuer_domains =
                if answer.issuer_domains.is_empty() { &directory.meta.caa_identities } else { &answer.issuer_domains };
            let wanted = Persistent {
                issuer_domains,
                account_url: self.state.account_url.as_deref().unwrap_or_default(),
                wildcard: answer.wildcard,
                now: self.tools.clock.now(),
            };
            if !settings.check {
                continue;
            }
            if let Seen::Missing(text) = dns::persistent(settings, &answer.identifier, &wanted).await? {
                let name = format!("_validation-persist.{}", answer.identifier);
                missing.get_or_insert(format!("Publish the TXT record {name} = \"{}\". {text}", wanted.text()));
                actions.push(Action { kind: ActionKind::DnsTxt, name, value: wanted.text(), expires: None });
            }
        }
        Ok((missing, actions))
    }

    /// Asks the CA to look (section 7.5.1). After a crash it may have been asked before; then it
    /// refuses, and the authorization says that the challenge is not pending any more.
    async fn ask(&self, answer: &Answer) -> Result<(), Failure> {
        let challenge_url = self.whole(&answer.challenge);
        match self.post(&challenge_url, Some(&json!({})), Place::Challenge).await {
            Ok(_) => Ok(()),
            Err(Failure::Problem { status: 400..=499, problem, .. })
                if !["badNonce", "rateLimited", "accountDoesNotExist"].contains(&problem.name()) =>
            {
                let refused = Failure::Problem { place: Place::Challenge, status: 400, problem, retry_after: None };
                let read = self.post(&self.whole(&answer.authorization), None, Place::Order).await?;
                let authorization: wire::Authorization = read.json()?;
                let pending = authorization
                    .challenges
                    .iter()
                    .any(|challenge| challenge.url == challenge_url && challenge.status == "pending");
                if authorization.status == AuthorizationStatus::Pending && pending { Err(refused) } else { Ok(()) }
            }
            Err(failure) => Err(failure),
        }
    }
}
