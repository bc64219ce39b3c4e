//! Proving control of names that DigiCert has not validated: its random value in a TXT record or in
//! a file, published before it is asked to look.

use super::names::Names;
use super::problem::Verdict;
use super::settings::{DcvMethod, is_private};
use super::state::Proof;
use super::steps::{Run, Stop};
use super::wire;
use crate::issuer::dns::{self, Seen};
use crate::issuer::provider::{Action, ActionKind, Challenge, Progress};
use serde_json::json;
use std::time::Duration;

/// DigiCert's random values are good for 30 days.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// An order of names that are validated is issued within this many questions.
const PATIENCE: u32 = 2;
/// Where DigiCert looks for a file.
const FILE: &str = "/.well-known/pki-validation/fileauth.txt";

impl Run<'_> {
    /// The order waits for a validation: of the names, which can be helped, or of the organization.
    pub(super) async fn pending_order(&mut self, names: &Names) -> Result<Progress, Stop> {
        let method = self.state.settings.validation.method;
        let given = self.saved.order.as_ref().and_then(|placed| placed.random_value.clone());
        let useless = self.saved.no_proof || method == DcvMethod::Email || is_private(&self.product()?);
        match self.saved.proof.clone() {
            Some(proof) if proof.found => Ok(self.validating()),
            Some(proof) => self.prove(proof).await,
            None if useless => Ok(self.validating()),
            None if given.is_none() && self.saved.polls < PATIENCE => Ok(self.validating()),
            None => self.begin(names, method, given).await,
        }
    }

    fn validating(&mut self) -> Progress {
        let number = self.number();
        let mail = if self.state.settings.validation.method == DcvMethod::Email && !self.saved.no_proof {
            " Answer the e-mail that DigiCert sent to the contacts of the names."
        } else {
            ""
        };
        self.poll(format!("DigiCert is validating the order {number}.{mail}"), Vec::new())
    }

    /// Gets the random value, and says what is published before it is.
    async fn begin(&mut self, names: &Names, method: DcvMethod, given: Option<String>) -> Result<Progress, Stop> {
        let value = match given {
            Some(value) => value,
            None => match self.random_value().await? {
                Some(value) => value,
                None => {
                    self.saved.no_proof = true;
                    return Ok(self.validating());
                }
            },
        };
        let names = names.to_prove(method);
        if names.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) || value.len() > 255 {
            self.saved.no_proof = true;
            return Ok(self.validating());
        }
        let label = self.state.settings.validation.label.clone();
        let written = method == DcvMethod::DnsTxtToken && self.state.settings.validation.dns.is_some();
        let proof = Proof { method, value, label, names, written, found: false, done: 0 };
        let expires = self.tools.clock.now().plus(LIFE);
        let file = |key| Challenge { key, key_authorization: proof.value.clone(), expires };
        let publish = proof.files().into_iter().map(file).collect();
        self.saved.proof = Some(proof);
        let mut progress = self.pending(Duration::ZERO, None);
        progress.publish = publish;
        Ok(progress)
    }

    async fn random_value(&self) -> Result<Option<String>, Stop> {
        let path = format!("/order/certificate/{}/dcv-random-value", self.number());
        let answer = match self.api.put(&path, &json!({})).await {
            Ok(answer) => answer,
            Err(failure) => match failure.verdict() {
                Verdict::Missing(_) | Verdict::Rejected(_) | Verdict::NotNow(_) | Verdict::Misconfigured(_) => {
                    return Ok(None);
                }
                verdict => return Err(verdict.into_error().into()),
            },
        };
        let value: wire::RandomValue = self.api.json(&answer)?;
        Ok(value.dcv_random_value.filter(|value| !value.is_empty()))
    }

    /// Makes the proof visible, looks whether it is, and asks DigiCert to look.
    async fn prove(&mut self, mut proof: Proof) -> Result<Progress, Stop> {
        if let Some(settings) = self.state.settings.validation.dns.clone().filter(|_| proof.written) {
            let records = proof.records();
            let solver = dns::solver(&settings, self.tools)?;
            proof.done = dns::write(&*solver, &records, proof.done).await?;
            self.saved.proof = Some(proof.clone());
            if proof.done < records.len() {
                let text = format!("{} of {} TXT records are written.", proof.done, records.len());
                return Ok(self.pending(Duration::ZERO, Some(text)));
            }
            if settings.check
                && let Seen::Missing(text) = dns::visible(&settings, &records).await?
            {
                self.saved.write_again();
                return Ok(self.poll(text, Vec::new()));
            }
        }
        let path = format!("/order/certificate/{}/check-dcv", self.number());
        let missing = match self.api.put(&path, &json!({})).await {
            Ok(answer) => missing(&self.api.json::<wire::Checked>(&answer)?),
            Err(failure) => match failure.verdict() {
                // Whatever it refuses, it did not find: where the order went on meanwhile, the next look says so.
                Verdict::NotNow(message) | Verdict::Missing(message) | Verdict::Rejected(message) => Some(message),
                verdict => return Err(verdict.into_error().into()),
            },
        };
        let Some(missing) = missing else {
            proof.found = true;
            self.saved.proof = Some(proof);
            self.saved.polls = 0;
            return Ok(self.poll("The names are validated.".to_owned(), Vec::new()));
        };
        self.saved.write_again();
        let actions = self.actions(&proof);
        let what = match proof.method {
            DcvMethod::DnsTxtToken if proof.written => "the TXT records that were written",
            DcvMethod::DnsTxtToken => "a TXT record with its value: publish it",
            DcvMethod::HttpToken => "its file, which this server answers on the port of http-01",
            DcvMethod::DnsCnameToken => "a CNAME record from its value below the name to dcv.digicert.com: publish it",
            DcvMethod::Email => "an answer to its e-mail",
        };
        let value = if actions.is_empty() { format!(" ({})", proof.value) } else { String::new() };
        Ok(self.poll(format!("DigiCert is waiting for {what}{value}. {missing}"), actions))
    }

    /// What a person can do, where the server does not.
    fn actions(&self, proof: &Proof) -> Vec<Action> {
        let action = |kind, name| Action { kind, name, value: proof.value.clone(), expires: None };
        match proof.method {
            DcvMethod::DnsTxtToken if !proof.written => {
                let name = |owner: &str| owner.trim_end_matches('.').to_owned();
                proof.records().iter().map(|record| action(ActionKind::DnsTxt, name(&record.owner))).collect()
            }
            DcvMethod::HttpToken => {
                proof.names.iter().map(|name| action(ActionKind::HttpFile, format!("http://{name}{FILE}"))).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What a check says is not there yet; none where all is.
fn missing(checked: &wire::Checked) -> Option<String> {
    let done = |text: &str| ["valid", "approved", "complete", "issued", "active"].contains(&text);
    let open: Vec<&str> = checked
        .dns_name_validations
        .iter()
        .filter(|one| !done(&one.status.to_ascii_lowercase()))
        .map(|one| one.dns_name.as_str())
        .take(5)
        .collect();
    if done(&checked.order_status) || (open.is_empty() && done(&checked.dcv_status)) {
        return None;
    }
    Some(if open.is_empty() { "It was not found yet.".to_owned() } else { format!("Not yet for {}.", open.join(", ")) })
}
