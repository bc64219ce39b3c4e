//! `mode=acme`: DigiCert makes an external account for ACME with the API key, and the ACME provider
//! does the rest. The account is kept before it is used.

use super::settings::{Settings, validates_names_alone};
use super::state::{DigiCertState, ExternalAccount};
use super::steps::{Stop, find_organization};
use super::{DigiCert, wire};
use crate::domain::{self, Blob, Policy};
use crate::issuer::options::problem;
use crate::issuer::provider::{IssuerInput, Order, Progress, State};
use crate::issuer::{Checkpoint, IssuerError, Step};
use serde_json::json;
use std::time::Duration;
use zeroize::Zeroizing;

/// Stands for the address that DigiCert names later, while options are checked.
const DIRECTORY: &str = "https://acme.digicert.com/v2/acme/directory/";
/// As above, for the external account.
const MAC_KEY: &str = "AAAA";

impl DigiCert {
    /// Checks the options of the ACME provider; where there is an account for the same, its engine
    /// takes them over.
    pub(super) async fn configure_acme(
        &self,
        next: &mut DigiCertState,
        old: Option<&DigiCertState>,
    ) -> domain::Result<()> {
        let input = acme_input(&next.settings, DIRECTORY, "kid", MAC_KEY);
        self.acme.configure(&input, None).await?;
        let product = single_product(&next.settings)?;
        let Some(old) = old else { return Ok(()) };
        let Some(account) = &old.account else { return Ok(()) };
        let same = old.settings.access == next.settings.access
            && old.settings.organization == next.settings.organization
            && account.product == product;
        if !same {
            return Ok(());
        }
        let input = acme_input(&next.settings, &account.directory, &account.kid, &account.hmac);
        let engine = State(Zeroizing::new(account.engine.0.clone()));
        let engine = self.acme.configure(&input, Some(&engine)).await?;
        next.account = Some(ExternalAccount { engine: Blob(engine.0.to_vec()), ..account.clone() });
        Ok(())
    }

    /// Makes the external account, or makes the engine ready. The next state, where it changed.
    pub(super) async fn activate_acme(&self, state: &mut DigiCertState) -> Result<Option<State>, IssuerError> {
        match &state.account {
            None => {
                self.make_account(state).await?;
                Ok(Some(state.write()))
            }
            Some(account) => {
                let engine = State(Zeroizing::new(account.engine.0.clone()));
                let next = self.acme.activate(&engine).await?;
                Ok(next.map(|engine| with_engine(state, &engine)))
            }
        }
    }

    async fn make_account(&self, state: &mut DigiCertState) -> Result<(), Stop> {
        let api = self.api(&state.settings)?;
        let refused = |error: domain::Error| IssuerError::Misconfigured { source: error.message.into() };
        let product = single_product(&state.settings).map_err(refused)?;
        let mut body = json!({
            "name": "certmint",
            "product_name_id": product,
            "order_validity_days": state.settings.ordering.years * 365,
            "validity_days": state.settings.ordering.most_days(&product, self.tools.clock.now()),
        });
        if !validates_names_alone(&product) {
            body["organization_id"] = json!(find_organization(&api, &state.settings.organization).await?);
        }
        if let Some(container) = state.settings.ordering.container {
            body["container_id"] = json!(container);
        }
        let made: wire::ExternalAccount = api.post("/key/acme-eab/tlm", &body).await?;
        let wire::ExternalAccount { acme_directory_url: directory, ext_act_kid: kid, ext_act_hmac: hmac } = made;
        let input = acme_input(&state.settings, &directory, &kid, &hmac);
        let engine = self.acme.configure(&input, None).await.map_err(refused)?;
        let engine = Blob(engine.0.to_vec());
        state.account = Some(ExternalAccount { directory, kid, hmac, product, engine });
        Ok(())
    }

    pub(super) fn accept_acme(&self, policy: &Policy, state: &DigiCertState) -> domain::Result<()> {
        let product = single_product(&state.settings)?;
        let wanted = state.settings.product(policy.issuer.certificate_type.as_deref())?;
        if wanted != product && policy.issuer.certificate_type.is_some() {
            let hint = format!("The issuer orders {product} over ACME, not {wanted}: use an issuer for each product.");
            return Err(domain::Error::field("policy.issuer.cty", hint));
        }
        match &state.account {
            Some(account) => self.acme.accept(policy, &State(Zeroizing::new(account.engine.0.clone()))),
            None => Ok(()),
        }
    }

    pub(super) async fn advance_acme(
        &self,
        mut state: DigiCertState,
        order: &Order,
        at: &Checkpoint,
        cancelling: bool,
    ) -> Result<Progress, IssuerError> {
        let Some(account) = &state.account else {
            if cancelling {
                return Ok(Progress::new(Step::Cancelled).quiet());
            }
            self.make_account(&mut state).await?;
            let step = Step::Pending { checkpoint: at.clone(), details: None, again: Duration::ZERO };
            let mut progress = Progress::new(step);
            progress.state = Some(state.write());
            return Ok(progress);
        };
        let engine = State(Zeroizing::new(account.engine.0.clone()));
        let mut progress = if cancelling {
            self.acme.cancel(order, &engine, at).await?
        } else {
            self.acme.advance(order, &engine, at).await?
        };
        progress.state = progress.state.map(|engine| with_engine(&mut state, &engine));
        Ok(progress)
    }
}

fn with_engine(state: &mut DigiCertState, engine: &State) -> State {
    if let Some(account) = &mut state.account {
        account.engine = Blob(engine.0.to_vec());
    }
    state.write()
}

/// An account is for one product: the one that an option names, or the usual one.
fn single_product(settings: &Settings) -> domain::Result<String> {
    let named = settings.acme.as_ref().and_then(|acme| acme.product.clone());
    named.map_or_else(|| settings.product(None).map(str::to_owned), Ok)
}

fn acme_input(settings: &Settings, directory: &str, kid: &str, hmac: &str) -> IssuerInput {
    let mut input = IssuerInput::default();
    if let Some(acme) = &settings.acme {
        input.options.clone_from(&acme.options);
        input.secrets = acme.secrets.iter().map(|(name, text)| (name.clone(), Zeroizing::new(text.clone()))).collect();
    }
    let own = [("directory", directory), ("agree_to_terms", "true"), ("eab_kid", kid)];
    input.options.extend(own.map(|(name, text)| (name.to_owned(), text.to_owned())));
    input.secrets.insert("eab_hmac".to_owned(), Zeroizing::new(hmac.to_owned()));
    input
}

/// The product of an account for ACME, from the options: one of them at most.
pub(super) fn acme_product(input: &IssuerInput) -> domain::Result<Option<String>> {
    let mut named = input.options.iter().filter(|(name, _)| name.starts_with("product."));
    let first = named.next().map(|(_, product)| product.trim().to_owned());
    match named.next() {
        Some((name, _)) => Err(problem(name, "An account for ACME is for one product: set an issuer for each.")),
        None => Ok(first),
    }
}
