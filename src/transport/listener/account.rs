//! The share of one request in the budget, from its head to the last byte of its response.

use super::budget::{Charge, Holder, Overrun, Share};
use super::connections::Connection;
use futures_util::future::AbortHandle;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// What an open request costs beside its head and bodies: its task, its state in HTTP/2, an answer without a body.
const REQUEST: usize = 2 * 1024;
/// What it costs beside that until it is answered: what waits for the body, or for the answer (`tests/operations/cost.rs`
/// measures it with requests whose bodies never come).
const WAITING: usize = 16 * 1024;
/// A larger frame of an answer is sent in pieces of this size: HTTP/2 takes over what it is given and holds it while
/// the window of the peer is shut, whether the request still exists or not.
pub(super) const PIECE: usize = 32 * 1024;
/// Refusals with a body that may be on their way on one connection.
const EXPLANATIONS: usize = 16;
/// What a field of a head costs beside its text.
const FIELD: usize = 104;

/// The account of one request; an extension of every request that comes through a port.
#[derive(Clone, Debug)]
pub struct Account(Arc<Open>);

/// A permit to make a large response; released on drop.
#[derive(Debug)]
pub struct Turn {
    _of_principal: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

/// An open request.
#[derive(Debug)]
pub(super) struct Open {
    connection: Arc<Connection>,
    number: u64,
    state: Mutex<State>,
    /// When the peer was given something that it has not read since, by [`Connection::now`]; 0: nothing.
    waiting: AtomicU64,
    /// Pieces of the answer that are on their way.
    pieces: AtomicUsize,
    /// Ends the task of the request, over HTTP/2.
    abort: OnceLock<AbortHandle>,
}

#[derive(Debug)]
struct State {
    /// `None` if the request is not paid for: it may show credentials, and is refused otherwise.
    charge: Option<Charge>,
    /// Whose request it is, since [`Account::identify`]; a proxy may send those of many principals on one connection.
    holder: Option<Arc<Holder>>,
    /// What is held for the whole request.
    fixed: usize,
    /// What its head takes and what waits for the rest, until the answer is there.
    head: usize,
    /// Counted as an open anonymous request.
    anonymous: bool,
    overrun: Option<Overrun>,
    answered: bool,
    explained: bool,
    stalled: bool,
}

/// What a look at an answer found.
pub(super) enum Stall {
    No,
    Ended,
    /// Only the end of the connection frees what it holds.
    CannotEnd,
}

impl Account {
    /// Opens the account of a request with this head. Where it is above a limit it is open all the same:
    /// [`Account::identify`] asks again, for another holder.
    pub(super) fn open<B>(connection: &Arc<Connection>, number: u64, request: &http::Request<B>) -> Self {
        let text: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
        let head = WAITING + text + path + FIELD * request.headers().len();
        let (charged, anonymous) = match connection.holder() {
            Some(holder) => (Charge::take(&holder.share, REQUEST + head), false),
            None => {
                let open = connection.anonymous_open.fetch_add(1, Relaxed);
                connection.budget.anonymous_requests.fetch_add(1, Relaxed);
                let room = open < connection.budget.options.anonymous_streams;
                let charged = if room { Charge::take(&connection.peer, REQUEST + head) } else { Err(Overrun::Streams) };
                (charged, true)
            }
        };
        let overrun = charged.as_ref().err().copied();
        let state = State {
            charge: charged.ok(),
            holder: None,
            fixed: REQUEST,
            head,
            anonymous,
            overrun,
            answered: false,
            explained: false,
            stalled: false,
        };
        Self(Arc::new(Open {
            connection: Arc::clone(connection),
            number,
            state: Mutex::new(state),
            waiting: AtomicU64::new(0),
            pieces: AtomicUsize::new(0),
            abort: OnceLock::new(),
        }))
    }

    /// The credentials of the request were accepted: from here on it is at the expense of this principal, and its
    /// connection is anonymous no longer.
    ///
    /// # Errors
    /// Where the principal, or the process, holds too much already: the request is refused.
    pub fn identify(&self, principal: &str) -> Result<(), Overrun> {
        let holder = self.0.connection.identify(principal);
        let mut state = self.0.state();
        state.holder = Some(Arc::clone(&holder));
        if state.anonymous {
            state.anonymous = false;
            self.0.no_longer_anonymous();
        }
        if state.charge.as_ref().is_some_and(|charge| Arc::ptr_eq(charge.share(), &holder.share)) {
            return Ok(());
        }
        let bytes = state.charge.as_ref().map_or(state.fixed + state.head, Charge::bytes);
        match Charge::take(&holder.share, bytes) {
            Ok(charge) => {
                (state.charge, state.overrun) = (Some(charge), None);
                Ok(())
            }
            Err(cause) => Err(state.refuse(cause)),
        }
    }

    /// Whether a request that has shown no credentials may be answered.
    ///
    /// # Errors
    /// Where it is above a limit.
    pub fn admitted(&self) -> Result<(), Overrun> {
        self.0.state().overrun.map_or(Ok(()), Err)
    }

    /// Holds so many bytes more until the answer has left: for answers whose makers keep more than the answer.
    ///
    /// # Errors
    /// Where they are not there.
    pub fn hold(&self, bytes: usize) -> Result<(), Overrun> {
        let mut state = self.0.state();
        state.grow(bytes)?;
        state.fixed += bytes;
        Ok(())
    }

    /// The stream of this request has a limit of its own: nothing is held for it but what is on its way to the peer,
    /// and so many bytes of its request.
    pub fn limited_elsewhere(&self, keeps: usize) {
        let mut state = self.0.state();
        state.fixed = keeps;
        state.settle();
    }

    /// The part of the body that was read is released, and the rest will be discarded.
    pub fn release_body(&self) {
        let mut state = self.0.state();
        state.answered = true;
        state.settle();
    }

    /// Waits for a permit to make a response that may be large.
    pub async fn turn(&self) -> Turn {
        let holder = self.0.state().holder.clone();
        // The semaphores are never closed.
        let of_principal = match holder {
            Some(holder) => Arc::clone(&holder.turns).acquire_owned().await.ok(),
            None => None,
        };
        let of_all = Arc::clone(&self.0.connection.budget.turns).acquire_owned().await.ok();
        Turn { _of_principal: of_principal, _of_all: of_all }
    }

    /// So many bytes of the request's body are held, until the answer is there. What comes after that is a stream,
    /// whose messages are small and do not stay.
    pub(super) fn body(&self, bytes: usize) -> Result<(), Overrun> {
        let mut state = self.0.state();
        if state.answered { Ok(()) } else { state.grow(bytes) }
    }

    /// The response is ready, and the request is released. Returns why the response may not be sent, if so.
    pub(super) fn answered(&self) -> Result<(), Overrun> {
        let mut state = self.0.state();
        (state.head, state.answered) = (0, true);
        state.settle();
        state.overrun.map_or(Ok(()), Err)
    }

    /// Takes the bytes of an answer whose length is known, and of the piece that is copied of a large one.
    pub(super) fn answer(&self, length: usize) -> Result<Charge, Overrun> {
        let bytes = length.saturating_add(if length > PIECE { PIECE } else { 0 });
        let mut state = self.0.state();
        Charge::take(&self.0.payer(&state), bytes).map_err(|cause| state.refuse(cause))
    }

    /// Counts bytes of an answer that are there already.
    pub(super) fn counted(&self, bytes: usize) -> Charge {
        Charge::force(&self.0.payer(&self.0.state()), bytes)
    }

    /// A request that cannot be answered is refused, and counted.
    pub(super) fn refused(&self, cause: Overrun) {
        self.0.connection.budget.count_refusal(cause);
    }

    /// Whether the refusal may have a body, for which nothing is left to pay. Few of a connection may at a time, and
    /// none that has shown no credentials: a head is not held for its reader.
    pub(super) fn may_explain(&self) -> bool {
        let mut state = self.0.state();
        if state.anonymous {
            return false;
        }
        let before = self.0.connection.explanations.fetch_add(1, Relaxed);
        state.explained = before < EXPLANATIONS;
        if !state.explained {
            self.0.connection.explanations.fetch_sub(1, Relaxed);
        }
        state.explained
    }

    /// An answer with a body begins; `abort` ends its task.
    pub(super) fn begins(&self, abort: Option<AbortHandle>) {
        if let Some(abort) = abort {
            // There is one task for a request.
            let _ = self.0.abort.set(abort);
        }
        self.0.waiting.store(self.0.connection.now(), Relaxed);
        self.0.connection.answer_begins(self.0.number, &self.0);
    }

    /// The server asks for the next piece: where none is on its way the peer has read what there was.
    pub(super) fn polled(&self) {
        if self.0.pieces.load(Relaxed) == 0 {
            self.0.waiting.store(0, Relaxed);
        }
    }

    /// A piece is on its way.
    pub(super) fn piece_leaves(&self) {
        self.0.pieces.fetch_add(1, Relaxed);
        self.0.waiting.store(self.0.connection.now(), Relaxed);
    }

    /// Bytes of a piece were written to the connection.
    pub(super) fn progress(&self) {
        self.0.waiting.store(self.0.connection.now(), Relaxed);
    }

    /// A piece was written, or given up.
    pub(super) fn piece_left(&self) {
        let left = self.0.pieces.fetch_sub(1, Relaxed) - 1;
        self.0.waiting.store(if left == 0 { 0 } else { self.0.connection.now() }, Relaxed);
    }
}

impl State {
    fn refuse(&mut self, cause: Overrun) -> Overrun {
        self.overrun = Some(cause);
        cause
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Overrun> {
        if let Some(cause) = self.overrun {
            return Err(cause);
        }
        match self.charge.as_mut().map(|charge| charge.grow(bytes)) {
            Some(Err(cause)) => Err(self.refuse(cause)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Gives back what is no longer held.
    fn settle(&mut self) {
        let bytes = self.fixed + self.head;
        if let Some(charge) = &mut self.charge {
            charge.shrink_to(bytes);
        }
    }
}

impl Open {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn payer(&self, state: &State) -> Arc<Share> {
        match &state.charge {
            Some(charge) => Arc::clone(charge.share()),
            None => Arc::clone(&self.connection.peer),
        }
    }

    fn no_longer_anonymous(&self) {
        self.connection.anonymous_open.fetch_sub(1, Relaxed);
        self.connection.budget.anonymous_requests.fetch_sub(1, Relaxed);
    }

    /// Ends the task of the request where the peer has not read for `patience` milliseconds.
    pub(super) fn end_if_stalled(&self, now: u64, patience: u64) -> Stall {
        let since = self.waiting.load(Relaxed);
        if since == 0 && self.pieces.load(Relaxed) > 0 {
            // A piece left in the moment in which the one before it had left: its time begins here.
            self.waiting.store(now, Relaxed);
        }
        if since == 0 || now.saturating_sub(since) < patience {
            return Stall::No;
        }
        if std::mem::replace(&mut self.state().stalled, true) {
            return Stall::No;
        }
        match self.abort.get() {
            // What HTTP/2 has taken over already stays until the connection ends: one piece and what fits beside it.
            Some(abort) => {
                abort.abort();
                Stall::Ended
            }
            None => Stall::CannotEnd,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let (anonymous, explained) = {
            let state = self.state();
            (state.anonymous, state.explained)
        };
        if anonymous {
            self.no_longer_anonymous();
        }
        if explained {
            self.connection.explanations.fetch_sub(1, Relaxed);
        }
        self.connection.answer_ended(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::{Budget, BudgetOptions};
    use super::super::connections::Connections;
    use super::*;
    use futures_util::FutureExt;
    use std::net::IpAddr;

    #[tokio::test]
    async fn a_turn_is_one_of_the_principal_of_the_request_whoever_else_shares_its_connection() {
        let options = BudgetOptions { large_answers: 4, ..BudgetOptions::default() };
        let entry = Connections::new(Budget::new(options)).enter(1, IpAddr::from([192, 0, 2, 1]));
        let of = |number: u64, principal: &str| {
            let account = Account::open(&entry.connection, number, &http::Request::new(()));
            account.identify(principal).unwrap();
            account
        };
        let (first, second, third) = (of(1, "greedy"), of(2, "greedy"), of(3, "greedy"));
        let other = of(4, "other");
        let _turns = (first.turn().now_or_never().unwrap(), second.turn().now_or_never().unwrap());
        assert!(third.turn().now_or_never().is_none(), "half of the places are the most for one");
        let _other = other.turn().now_or_never().unwrap();
        assert!(of(5, "other").turn().now_or_never().is_some());
    }
}
