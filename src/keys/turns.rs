//! A fair queue: owners take turns by the time that their work takes, not by the number of jobs. Its length is bounded
//! in time. It uses neither threads nor a clock.
//!
//! Each owner has an account of the time that was spent for it; whoever has the least is next (start-time fair
//! queueing). An account that was idle starts at the level of the active ones, so nobody saves up time, and an owner
//! that leaves and comes back keeps its debt.

use super::caller::Owner;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Jobs of principals, whatever they take.
    pub(super) jobs: usize,
    /// Expected time of a core, for all principals.
    pub(super) time: Duration,
    /// Expected time of a core, for one principal.
    pub(super) share: Duration,
}

/// Why a job is not run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    /// Its owner has too much waiting already.
    Share,
    /// The queue is full, and no other owner has more waiting than this one.
    Full,
    /// It waited, and gave its place to an owner with less in the queue.
    Displaced,
    /// It would not be done before its caller's deadline.
    Late,
}

/// Not now: and when there may be room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) cause: Cause,
    pub(super) after: Duration,
}

/// A job that asks for a place.
pub(super) struct Asking<'a, T> {
    pub(super) owner: &'a Owner,
    pub(super) cost: Duration,
    pub(super) deadline: Option<Instant>,
    pub(super) job: T,
}

/// A job that got one.
pub(super) struct Entered<T> {
    pub(super) id: u64,
    /// Jobs that lost theirs.
    pub(super) displaced: Vec<(T, Refusal)>,
}

/// A job whose turn it is.
pub(super) struct Turn<T> {
    pub(super) id: u64,
    pub(super) job: T,
    /// It cannot be done in time any more: it is to be refused, and counts as not begun.
    pub(super) late: Option<Refusal>,
}

struct Waiting<T> {
    cost: Duration,
    deadline: Option<Instant>,
    job: T,
}

struct Account<T> {
    /// What was spent for the owner.
    spent: Duration,
    waiting: BTreeMap<u64, Waiting<T>>,
    /// Expected time of what waits.
    time: Duration,
    running: usize,
}

struct Running {
    owner: Owner,
    begun: Instant,
    cost: Duration,
    /// What part of its time is charged.
    divisor: u32,
}

pub(super) struct Turns<T> {
    accounts: BTreeMap<Owner, Account<T>>,
    running: BTreeMap<u64, Running>,
    /// What the owner that was served last had spent before: an account begins there.
    level: Duration,
    next_id: u64,
}

impl<T> Account<T> {
    fn new(level: Duration) -> Self {
        Self { spent: level, waiting: BTreeMap::new(), time: Duration::ZERO, running: 0 }
    }

    fn is_active(&self) -> bool {
        self.running > 0 || !self.waiting.is_empty()
    }

    fn remove(&mut self, id: u64) -> Option<Waiting<T>> {
        let removed = self.waiting.remove(&id)?;
        self.time = self.time.saturating_sub(removed.cost);
        Some(removed)
    }
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { accounts: BTreeMap::new(), running: BTreeMap::new(), level: Duration::ZERO, next_id: 0 }
    }
}

impl<T> Turns<T> {
    /// Gives the job a place, or says why there is none. A job that can begin at once has one always: what its own time
    /// costs is up to its caller.
    pub(super) fn enter(
        &mut self,
        asking: Asking<'_, T>,
        bounds: Bounds,
        now: Instant,
        servers: usize,
    ) -> Result<Entered<T>, Refusal> {
        let Asking { owner, cost, deadline, job } = asking;
        let free = self.running.len() < servers && self.waiting() == 0;
        let bounded = *owner != Owner::Server;
        let mut displaced = Vec::new();
        if bounded && !free {
            self.check(owner, cost, deadline, bounds, now, servers)?;
            displaced = self.make_room(owner, cost, bounds, now, servers)?;
        }
        let id = self.next_id;
        self.next_id += 1;
        let level = self.level;
        let account = self.accounts.entry(owner.clone()).or_insert_with(|| Account::new(level));
        if !account.is_active() {
            account.spent = account.spent.max(level);
        }
        account.time += cost;
        // What begins at once is not too late before it began.
        account.waiting.insert(id, Waiting { cost, deadline: deadline.filter(|_| !free), job });
        Ok(Entered { id, displaced })
    }

    /// The next job, if any waits. It runs until [`Turns::finish`], unless it is late.
    pub(super) fn take(&mut self, now: Instant, servers: usize) -> Option<Turn<T>> {
        let waiting = self.accounts.iter().filter(|(_, account)| !account.waiting.is_empty());
        let next =
            waiting.min_by_key(|(_, account)| (account.spent, account.waiting.first_key_value().map(|(id, _)| *id)));
        let owner = next?.0.clone();
        let divisor = if owner == Owner::Server { self.active_principals() } else { 1 };
        let account = self.accounts.get_mut(&owner)?;
        let id = *account.waiting.first_key_value()?.0;
        let Waiting { cost, deadline, job } = account.remove(id)?;
        if deadline.is_some_and(|deadline| now + cost > deadline) {
            let after = self.wait(&owner, cost, now, servers);
            self.forget();
            return Some(Turn { id, job, late: Some(Refusal { cause: Cause::Late, after }) });
        }
        self.level = self.level.max(account.spent);
        account.spent += cost / divisor;
        account.running += 1;
        self.running.insert(id, Running { owner, begun: now, cost, divisor });
        Some(Turn { id, job, late: None })
    }

    /// A job has ended, after this much time: what was charged for it is set right.
    pub(super) fn finish(&mut self, id: u64, took: Duration) {
        let Some(Running { owner, cost, divisor, .. }) = self.running.remove(&id) else { return };
        if let Some(account) = self.accounts.get_mut(&owner) {
            account.spent = (account.spent + took / divisor).saturating_sub(cost / divisor);
            account.running -= 1;
        }
        self.forget();
    }

    /// The caller of a job has gone: its place is free if it has not begun.
    pub(super) fn leave(&mut self, owner: &Owner, id: u64) -> Option<T> {
        let left = self.accounts.get_mut(owner)?.remove(id)?;
        self.forget();
        Some(left.job)
    }

    pub(super) fn waiting(&self) -> usize {
        self.accounts.values().map(|account| account.waiting.len()).sum()
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// The expected time of what waits.
    pub(super) fn time(&self) -> Duration {
        self.accounts.values().map(|account| account.time).sum()
    }

    /// How long a new job of this owner would wait: until its own jobs are done, and of each other owner as much as
    /// comes first in turns.
    fn wait(&self, owner: &Owner, cost: Duration, now: Instant, servers: usize) -> Duration {
        let (own, spent) = self.of(owner);
        let ahead = |other: &Account<T>| other.time.min(own + cost + spent.saturating_sub(other.spent));
        let others = self.accounts.iter().filter(|(other, _)| *other != owner).map(|(_, other)| ahead(other));
        let running = self.running.values().map(|it| it.cost.saturating_sub(now.saturating_duration_since(it.begun)));
        (own + others.sum::<Duration>() + running.sum::<Duration>()) / count(servers)
    }

    /// What an owner has waiting, and what was spent for it.
    fn of(&self, owner: &Owner) -> (Duration, Duration) {
        let account = self.accounts.get(owner);
        account.map_or((Duration::ZERO, self.level), |account| (account.time, account.spent.max(self.level)))
    }

    fn check(
        &self,
        owner: &Owner,
        cost: Duration,
        deadline: Option<Instant>,
        bounds: Bounds,
        now: Instant,
        servers: usize,
    ) -> Result<(), Refusal> {
        let (own, _) = self.of(owner);
        // One job may cost more than any share.
        if own > Duration::ZERO && own + cost > bounds.share {
            let turns = count(self.active_principals() as usize);
            let after = (own + cost).saturating_sub(bounds.share) * turns / count(servers);
            return Err(Refusal { cause: Cause::Share, after });
        }
        let wait = self.wait(owner, cost, now, servers);
        match deadline {
            Some(deadline) if now + wait + cost > deadline => {
                let excess = (now + wait + cost).saturating_duration_since(deadline);
                Err(Refusal { cause: Cause::Late, after: excess.min(wait) })
            }
            _ => Ok(()),
        }
    }

    /// Where the queue is full, those with the most in it lose their newest jobs to those with less.
    fn make_room(
        &mut self,
        owner: &Owner,
        cost: Duration,
        bounds: Bounds,
        now: Instant,
        servers: usize,
    ) -> Result<Vec<(T, Refusal)>, Refusal> {
        let own = self.accounts.get(owner).map_or(0, |account| account.waiting.len()) + 1;
        let own_time = self.of(owner).0 + cost;
        let (mut jobs, mut time) = (0, Duration::ZERO);
        let (mut spare_jobs, mut spare_time) = (0, Duration::ZERO);
        for account in self.principals() {
            jobs += account.waiting.len();
            time += account.time;
            spare_jobs += account.waiting.len().saturating_sub(own);
            spare_time += account.time.saturating_sub(own_time);
        }
        let full = |after| Refusal { cause: Cause::Full, after };
        let excess = if jobs == 0 { Duration::ZERO } else { (time + cost).saturating_sub(bounds.time) };
        if jobs >= bounds.jobs && spare_jobs == 0 {
            return Err(full(time / count(jobs) / count(servers)));
        }
        if excess > spare_time {
            return Err(full(excess / count(servers)));
        }
        let mut displaced = Vec::new();
        while jobs >= bounds.jobs || jobs > 0 && time + cost > bounds.time {
            let by_jobs = jobs >= bounds.jobs;
            let most = self.accounts.iter().filter(|(other, _)| **other != Owner::Server);
            let most = most.max_by_key(
                |(_, account)| {
                    if by_jobs { (account.waiting.len(), account.time) } else { (0, account.time) }
                },
            );
            let Some(most) = most.map(|(owner, _)| owner.clone()) else { break };
            let Some(last) = self.accounts.get_mut(&most).and_then(|account| {
                let id = *account.waiting.last_key_value()?.0;
                account.remove(id)
            }) else {
                break;
            };
            jobs -= 1;
            time = time.saturating_sub(last.cost);
            let after = self.wait(&most, last.cost, now, servers);
            displaced.push((last.job, Refusal { cause: Cause::Displaced, after }));
        }
        self.forget();
        Ok(displaced)
    }

    fn principals(&self) -> impl Iterator<Item = &Account<T>> {
        self.accounts.iter().filter(|(owner, _)| **owner != Owner::Server).map(|(_, account)| account)
    }

    /// At least one.
    fn active_principals(&self) -> u32 {
        count(self.principals().filter(|account| account.is_active()).count())
    }

    /// Drops the accounts that owe nothing; all of them where nothing is left to do.
    fn forget(&mut self) {
        let level = self.level;
        if self.accounts.values().any(Account::is_active) {
            self.accounts.retain(|_, account| account.is_active() || account.spent > level);
        } else {
            self.accounts.clear();
            self.level = Duration::ZERO;
        }
    }
}

/// For divisions: at least one.
fn count(number: usize) -> u32 {
    u32::try_from(number.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
