//! What will be renewed when, and why.

use super::{Renewals, VaultRules, waits_for};
use crate::domain::renewal::{NotRenewed, Plan, plan};
use crate::domain::{
    CertificateEntry, CertificateName, EntryState, Operation, Pause, Renewal, RequestId, Result, Timestamp, VaultName,
    Version,
};
use crate::service::access::{Permit, Target};
use crate::service::records::{Bounds, List, Page, key};

/// Why nothing begins that is due.
const SWITCHED_OFF: &str = "Renewals are switched off (renewal.enabled).";

/// Which renewals to list.
#[derive(Clone, Debug)]
pub struct ListRenewals {
    pub vault: VaultName,
    /// Only certificates whose policy names this issuer; empty: of all.
    pub issuer: String,
    /// Only what is due by then.
    pub due_before: Option<Timestamp>,
    /// Also certificates that are not renewed by themselves.
    pub include_unplanned: bool,
    /// 1 to [`MAX_PAGE`](crate::service::MAX_PAGE).
    pub page_size: usize,
    /// From the page before; empty on the first.
    pub page_token: String,
}

impl Target for ListRenewals {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }
}

/// How the renewal of a certificate stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RenewalState {
    /// It begins at this time.
    Planned,
    /// It is due, and about to begin or put off.
    Due,
    /// An operation is in progress.
    InProgress(RequestId),
    Paused(Pause),
    /// It is not renewed by itself.
    Unplanned(NotRenewed),
}

/// The renewal of a certificate.
#[derive(Clone, Debug)]
pub struct RenewalView {
    pub vault: VaultName,
    pub name: CertificateName,
    /// The version that is to be replaced.
    pub version: Version,
    pub issuer: String,
    pub expires: Timestamp,
    pub state: RenewalState,
    /// `None` where it is not renewed by itself.
    pub plan: Option<Plan>,
    /// When it may begin, as a text; none where it may at any time.
    pub maintenance: Option<String>,
    /// What was tried so far; its note also says why the last operation failed, and why one that is due does not begin.
    pub renewal: Renewal,
}

/// A page of renewals in the order of their names. It may hold fewer than were asked for; only without a token it is the
/// last one.
#[derive(Clone, Debug)]
pub struct RenewalPage {
    pub renewals: Vec<RenewalView>,
    /// Empty on the last page.
    pub next_page_token: String,
}

impl Renewals {
    /// The renewals of a vault whose certificates the caller may see.
    pub async fn list(&self, wanted: Permit<ListRenewals>) -> Result<RenewalPage> {
        let ListRenewals { vault, issuer, due_before, include_unplanned, page_size, page_token } = &*wanted;
        let due_text = due_before.map_or_else(String::new, |at| at.0.to_string());
        let scope = vec![vault.to_string(), issuer.to_ascii_lowercase(), due_text, include_unplanned.to_string()];
        let paging = self.context.paging(List::Renewals, scope);
        let position = paging.position(page_token)?;
        let rules = VaultRules::of(&self.context, vault).await?;
        let mut page = Page::new(wanted.shown(vault, key::certificates_of(vault)), position, *page_size, Bounds::WIDE);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            let (keys, entries): (Vec<_>, Vec<_>) = found.into_iter().unzip();
            let names =
                entries.iter().map(|entry| entry.as_ref().map(|entry| key::pending(vault, &entry.name).shown()));
            let pending = self.context.load_many(&names.collect::<Vec<_>>()).await?;
            for ((key, entry), pending) in keys.into_iter().zip(entries).zip(pending) {
                let operation = pending.ok().flatten().map(|pending| pending.operation);
                let view = entry.filter(|entry| is_shown(entry, issuer));
                let view = view.map(|entry| self.view(&entry, operation.as_ref(), &rules));
                let view = view.filter(|view| {
                    let planned = *include_unplanned || !matches!(view.state, RenewalState::Unplanned(_));
                    let due =
                        due_before.is_none_or(|before| view.plan.as_ref().is_some_and(|plan| plan.renew_at <= before));
                    planned && due
                });
                page.take(key, view);
            }
        }
        Ok(RenewalPage { next_page_token: paging.token(page.position()), renewals: page.items })
    }

    /// The renewal of an entry, with the operation of its name and what holds for its vault.
    pub(super) fn view(
        &self,
        entry: &CertificateEntry,
        operation: Option<&Operation>,
        vault: &VaultRules,
    ) -> RenewalView {
        let open = operation.filter(|operation| operation.in_progress()).map(|operation| operation.request_id);
        let version = entry.latest.unwrap_or(entry.first_version);
        let mut renewal = Renewal::of(entry, version);
        let (now, window) = (self.context.now(), vault.window(&renewal));
        let planned = plan(entry, self.context.options.renewal.rules());
        let planned = planned.and_then(|plan| match &vault.paused {
            Some(pause) => Err(NotRenewed::Paused(pause.clone())),
            None => Ok(plan.within(window.as_ref(), now)),
        });
        let state = match (&planned, open) {
            (_, Some(request_id)) => RenewalState::InProgress(request_id),
            (Ok(plan), None) if plan.renew_at <= now => RenewalState::Due,
            (Ok(_), None) => RenewalState::Planned,
            (Err(NotRenewed::Paused(pause)), None) => RenewalState::Paused(pause.clone()),
            (Err(why), None) => RenewalState::Unplanned(why.clone()),
        };
        let last = operation.filter(|operation| Some(operation.request_id) == renewal.tries.request_id);
        if let Some(error) = last.and_then(Operation::error) {
            renewal.tries.note.clone_from(&error.message);
        }
        if let (RenewalState::Planned, Ok(plan), Some(window)) = (&state, &planned, &window)
            && plan.planned <= now
            && let Some(opening) = window.opening(now).filter(|opening| opening.from > now)
        {
            renewal.tries.note = waits_for(window, opening);
        }
        if state == RenewalState::Due && !self.context.options.renewal.enabled {
            SWITCHED_OFF.clone_into(&mut renewal.tries.note);
        }
        RenewalView {
            vault: entry.vault.clone(),
            name: entry.name.clone(),
            version,
            issuer: entry.policy.issuer.name.clone(),
            expires: entry.current_summary().map_or(entry.projected().1, |summary| summary.expires),
            state,
            plan: planned.ok(),
            maintenance: window.map(|window| window.to_string()),
            renewal,
        }
    }
}

/// Certificates with a version, of the issuer that was asked for.
fn is_shown(entry: &CertificateEntry, issuer: &str) -> bool {
    let of_issuer = issuer.is_empty() || entry.policy.issuer.name.eq_ignore_ascii_case(issuer);
    entry.state == EntryState::Live && entry.latest.is_some() && of_issuer
}
