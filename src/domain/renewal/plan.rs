//! When the newest version of a certificate is to be renewed.
//!
//! Times count from what was issued, not from the policy: `begin` is notBefore, or the creation of the version where the
//! CA dated it back by up to an hour; `life` is notAfter − `begin`.
//!
//! 1. In the window of the CA, at a point drawn once (RFC 9773 section 4.2), if it gave one that begins after notBefore.
//! 2. Else by `lifetime_percentage`: at p % of the life; below ten days of life p is at most the setting.
//! 3. Else by `days_before_expiry`: so many days before notAfter, but no more than half of the life.
//! 4. Rules 2 and 3 are no earlier than a third of the life, and no rule is earlier than an hour after the version was made,
//!    or a third of what was left then. Where the renewal that made the version gained nothing, that holds for rule 1 too,
//!    and no rule is earlier than a minute after it, 10 minutes after the second such renewal in a row, 100 after the third,
//!    then a day: a CA that shortens lifetimes, or always wants to replace, causes no loop.
//! 5. With a twentieth of the life left, whatever the plan says, and whatever it waited for until then.
//! 6. Rules 2 and 3 are moved by up to 2 % of the life, at most 12 hours, drawn once for each version: to either side, or
//!    only to an earlier time below ten days of life, so that a CA may be away for half of it.

use super::valid::Valid;
use super::{Held, MaintenanceWindow, Renewal, RenewalRules, RenewalTrigger, Renews, retry, share};
use crate::domain::policy::{Action, Trigger};
use crate::domain::{CertificateEntry, EntryState, Pause, Timestamp, VersionSummary};
use std::time::Duration;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Certificates with a shorter life are renewed earlier in it.
const SHORT_LIFE: i64 = 10 * DAY;
const MAX_JITTER: i64 = 12 * HOUR;
/// What the draws are for.
const JITTER: u64 = 1;
const POINT_IN_WINDOW: u64 = 2;

/// Why there is no plan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotRenewed {
    /// It is deleted, or on its way in or out.
    Gone,
    /// No version was completed yet, or what is known of it has to be read anew.
    NoVersion,
    /// The newest version is disabled.
    Disabled,
    /// The policy does not ask for it.
    NoAutoRenew,
    /// Nobody signs for the issuer `Unknown`.
    NoIssuer,
    Held(Held),
    Paused(Pause),
}

/// What the plan follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Because {
    Window,
    Percentage(u32),
    Days(u32),
}

/// When the newest version of a certificate is renewed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The next look: an attempt, or a question to the CA.
    pub due: Timestamp,
    /// The next attempt.
    pub renew_at: Timestamp,
    /// The first attempt, before anything was tried or put off.
    pub planned: Timestamp,
    pub because: Because,
    pub valid: Valid,
    pub renewal: Renewal,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    Wait(Timestamp),
    /// Ask the CA for its window.
    Ask,
    Renew(RenewalTrigger),
}

impl Plan {
    pub fn step(&self, now: Timestamp) -> Step {
        if now >= self.renew_at {
            return Step::Renew(self.trigger(now));
        }
        if now >= self.due { Step::Ask } else { Step::Wait(self.due) }
    }

    fn trigger(&self, now: Timestamp) -> RenewalTrigger {
        if now >= self.emergency() {
            return RenewalTrigger::Emergency;
        }
        if self.because == Because::Window { RenewalTrigger::Ari } else { RenewalTrigger::Lifetime }
    }

    /// Whether so many days before the end are earlier than half of the life, which holds then (rule 3).
    pub fn is_half_of_the_life(&self, days_before_the_end: u32) -> bool {
        i64::from(days_before_the_end) * DAY > self.valid.part(2)
    }

    /// The same where attempts wait for maintenance windows, as it looks now.
    pub fn within(self, window: Option<&MaintenanceWindow>, now: Timestamp) -> Self {
        let Some(window) = window else { return self };
        let from = self.renew_at.max(now);
        let opens = window.opens(from);
        if opens == from {
            return self;
        }
        let renew_at = opens.min(self.emergency()).max(self.renew_at);
        Self { renew_at, ..self }
    }

    /// From here on it is renewed whatever the plan says.
    pub fn emergency(&self) -> Timestamp {
        self.valid.left(20)
    }
}

/// When this certificate is renewed.
///
/// # Errors
/// Why it is not renewed by itself.
pub fn plan(entry: &CertificateEntry, rules: RenewalRules) -> Result<Plan, NotRenewed> {
    if entry.state != EntryState::Live {
        return Err(NotRenewed::Gone);
    }
    let summary = entry.current_summary().ok_or(NotRenewed::NoVersion)?;
    if !summary.enabled {
        return Err(NotRenewed::Disabled);
    }
    let renewing = entry.policy.lifetime_actions.iter().filter(|action| action.action == Action::AutoRenew);
    let triggers: Vec<Trigger> = renewing.map(|action| action.trigger).collect();
    if triggers.is_empty() {
        return Err(NotRenewed::NoAutoRenew);
    }
    if entry.policy.issuer.is_manual() {
        return Err(NotRenewed::NoIssuer);
    }
    let renewal = Renewal::of(entry, summary.version);
    if let Some(held) = renewal.held {
        return Err(NotRenewed::Held(held));
    }
    if let Some(pause) = &renewal.paused {
        return Err(NotRenewed::Paused(pause.clone()));
    }
    let valid = Valid::of(summary);
    let (planned, because) = first(&renewal, &triggers, valid, summary.not_before, rules);
    let remained = valid.end.0.saturating_sub(summary.created.0).max(0);
    let least = (remained / 3).min(HOUR).max(retry::after_fruitless(renewal.fruitless));
    let earliest = Timestamp(summary.created.0.saturating_add(least));
    let emergency = valid.left(20);
    let planned = planned.min(emergency).max(earliest);
    let renew_at = match renewal.tries.next_try {
        // What was put off before is not put off any longer.
        Some(next) if renewal.tries.looked.is_none_or(|looked| looked < emergency) => planned.max(next.min(emergency)),
        Some(next) => planned.max(next),
        None => planned,
    };
    let due = renewal.ask_at.map_or(renew_at, |ask| renew_at.min(ask));
    Ok(Plan { due, renew_at, planned, because, valid, renewal })
}

/// The first three rules with their jitter, and the earliest time of the second and third.
fn first(
    renewal: &Renewal,
    triggers: &[Trigger],
    valid: Valid,
    not_before: Timestamp,
    rules: RenewalRules,
) -> (Timestamp, Because) {
    if let Some(window) = renewal.window.as_ref().filter(|window| window.start >= not_before) {
        let length = window.end.0.saturating_sub(window.start.0).max(0);
        let point =
            Timestamp(window.start.0.saturating_add((length as f64 * share(renewal.version, POINT_IN_WINDOW)) as i64));
        let held = if renewal.fruitless > 0 { valid.third() } else { valid.begin };
        return (point.max(held), Because::Window);
    }
    let life = valid.life();
    let at = |trigger: &Trigger| match *trigger {
        Trigger::LifetimePercentage(asked) => {
            let percentage = if life < SHORT_LIFE { asked.min(rules.short_lived_percentage) } else { asked };
            (valid.begin.0.saturating_add(part(life, percentage)), Because::Percentage(percentage))
        }
        Trigger::DaysBeforeExpiry(days) => {
            (valid.end.0.saturating_sub((i64::from(days) * DAY).min(life / 2)), Because::Days(days))
        }
    };
    let (at, because) = triggers.iter().map(at).min_by_key(|(at, _)| *at).unwrap_or((valid.end.0, Because::Days(0)));
    let most = (life / 50).min(MAX_JITTER) as f64;
    let drawn = share(renewal.version, JITTER);
    let jitter = (if life < SHORT_LIFE { -drawn } else { drawn * 2.0 - 1.0 } * most) as i64;
    (Timestamp(at.saturating_add(jitter)).max(valid.third()), because)
}

fn part(life: i64, percentage: u32) -> i64 {
    i64::try_from(i128::from(life) * i128::from(percentage) / 100).unwrap_or(life)
}

/// For how long a CA is not asked again for its window: what it says, from an hour to a week.
pub fn ask_again(said: Duration) -> Duration {
    said.clamp(Duration::from_secs(3600), Duration::from_secs(7 * 86_400))
}

/// When the CA is first asked for the window of a version that was made now.
pub fn first_ask(version: super::Version, now: Timestamp, end: Timestamp) -> Timestamp {
    let most = end.0.saturating_sub(now.0).max(0) / 4;
    let wait = (6 * HOUR).min(most) as f64 * (0.5 + share(version, POINT_IN_WINDOW) / 2.0);
    Timestamp(now.0.saturating_add(wait as i64))
}

impl Renewal {
    /// That of a version which an operation made of this entry, and which the entry does not have yet.
    pub fn after(entry: &CertificateEntry, renews: Option<&Renews>, made: &VersionSummary) -> Self {
        let replaced = entry.current_summary().zip(renews).filter(|(before, renews)| before.version == renews.replaces);
        let fruitless = replaced.filter(|(before, renews)| {
            let early = renews.trigger == RenewalTrigger::Ari && made.created < Valid::of(before).third();
            early || made.expires <= before.expires
        });
        let fruitless = fruitless.map_or(0, |(before, _)| Self::of(entry, before.version).fruitless.saturating_add(1));
        Self { fruitless, ..Self::of(entry, made.version) }
    }
}
