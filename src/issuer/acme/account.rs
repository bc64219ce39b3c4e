//! The account at the CA (RFC 8555 section 7.3): registration that is safe to repeat, contacts, a
//! new key, and the end of the account.

use super::jws::AccountKey;
use super::problem::{Failure, Place};
use super::session::Session;
use super::state::AcmeState;
use super::wire::Account;
use crate::domain::Blob;
use crate::issuer::IssuerError;
use serde_json::json;

pub(super) fn key(state: &AcmeState) -> Result<AccountKey, Failure> {
    AccountKey::read(&state.account_key.0).map_err(Failure::Internal)
}

fn misconfigured(message: impl Into<String>) -> IssuerError {
    IssuerError::Misconfigured { source: message.into().into() }
}

pub(super) fn to_error(failure: Failure) -> IssuerError {
    failure.verdict().into_error()
}

/// Registers the key, or finds its account: the CA gives the same account for the same key, so a
/// crash before the address was kept costs one request (section 7.3.1).
pub(super) async fn register(session: &Session, state: &mut AcmeState) -> Result<(), IssuerError> {
    let directory = session.directory().await.map_err(to_error)?;
    let key = key(state).map_err(to_error)?;
    let mut payload = json!({"termsOfServiceAgreed": true, "contact": state.settings.contacts});
    match &state.settings.binding {
        Some(binding) => {
            payload["externalAccountBinding"] = key.bind(&binding.kid, &binding.mac_key.0, &directory.new_account);
        }
        None if directory.meta.external_account_required => {
            return Err(misconfigured(
                "The CA requires external account binding: set the options eab_kid and eab_hmac, which its web site \
                 provides.",
            ));
        }
        None => {}
    }
    let answer =
        session.post(&key, None, &directory.new_account, Some(&payload), Place::Account).await.map_err(to_error)?;
    usable(&answer.json().map_err(to_error)?)?;
    state.account_url = Some(answer.location().map_err(to_error)?);
    // An account that was there keeps its own contacts; they are compared and sent next.
    state.contacts =
        if answer.response.status == http::StatusCode::CREATED { state.settings.contacts.clone() } else { Vec::new() };
    Ok(())
}

/// Sends the contacts of the options where the CA has others (section 7.3.2).
pub(super) async fn update_contacts(session: &Session, state: &mut AcmeState) -> Result<bool, IssuerError> {
    let Some(url) = state.account_url.clone() else { return Ok(false) };
    if state.contacts == state.settings.contacts {
        return Ok(false);
    }
    let key = key(state).map_err(to_error)?;
    let payload = json!({"contact": state.settings.contacts});
    session.post(&key, Some(&url), &url, Some(&payload), Place::Account).await.map_err(to_error)?;
    state.contacts = state.settings.contacts.clone();
    Ok(true)
}

/// Looks whether the CA accepts the account, without changing anything.
pub(super) async fn look(session: &Session, state: &AcmeState, url: &str) -> Result<(), Failure> {
    let answer = session.post(&key(state)?, Some(url), url, None, Place::Account).await?;
    let account: Account = answer.json()?;
    match account.status.as_str() {
        "valid" => Ok(()),
        status => Err(Failure::Internal(format!("The account at the CA is {status}."))),
    }
}

fn usable(account: &Account) -> Result<(), IssuerError> {
    match account.status.as_str() {
        "valid" => Ok(()),
        status => Err(misconfigured(format!("The account at the CA is {status}."))),
    }
}

/// Makes the key that takes over, where there is none yet.
pub(super) fn next_key(state: &mut AcmeState) -> Result<(), IssuerError> {
    if state.account_url.is_none() {
        return Err(misconfigured("There is no account at the CA yet, so there is no key to change."));
    }
    if state.next_key.is_none() {
        state.next_key = Some(Blob(AccountKey::generate().map_err(misconfigured)?.to_vec()));
    }
    Ok(())
}

/// One step of a change of key (section 7.3.5). The first makes the next key, to be kept; the
/// second asks the CA. A repeat of the second finds that the CA has the next key already.
pub(super) async fn roll_key(session: &Session, state: &mut AcmeState) -> Result<(), IssuerError> {
    let Some(url) = state.account_url.clone() else {
        return Err(misconfigured("There is no account at the CA yet, so there is no key to change."));
    };
    let Some(Blob(next)) = state.next_key.clone() else { return next_key(state) };
    let directory = session.directory().await.map_err(to_error)?;
    let Some(change) = directory.key_change.as_deref() else {
        return Err(misconfigured("The CA does not support account key rollover."));
    };
    let (old, new) = (key(state).map_err(to_error)?, AccountKey::read(&next).map_err(misconfigured)?);
    let inner = json!({"account": url, "oldKey": old.jwk()});
    let inner = new.sign(None, None, change, Some(&inner)).map_err(misconfigured)?;
    if let Err(failure) = session.post(&old, Some(&url), change, Some(&inner), Place::Account).await {
        let existing = json!({"onlyReturnExisting": true});
        let found = session.post(&new, None, &directory.new_account, Some(&existing), Place::Account).await;
        if !found.is_ok_and(|answer| answer.location().is_ok_and(|found| found == url)) {
            return Err(to_error(failure));
        }
    }
    state.account_key = Blob(next);
    state.next_key = None;
    Ok(())
}

/// Ends the account for good (section 7.3.6).
pub(super) async fn deactivate(session: &Session, state: &mut AcmeState) -> Result<(), IssuerError> {
    let Some(url) = state.account_url.clone() else {
        return Err(misconfigured("There is no account at the CA yet, so there is none to end."));
    };
    let key = key(state).map_err(to_error)?;
    let payload = json!({"status": "deactivated"});
    session.post(&key, Some(&url), &url, Some(&payload), Place::Account).await.map_err(to_error)?;
    Ok(())
}
