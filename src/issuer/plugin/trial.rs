//! What the contract promises of a plug-in, tried from outside with orders of its own: for `certmint plugin test`. The
//! server's own suite (`tests/support/conformance.rs`) looks behind the CA too; this one needs nothing but an address.

use super::Plugin;
use super::state::PluginState;
use crate::clock::Clock;
use crate::domain::policy::KeyType;
use crate::domain::{CertificateName, Policy, PolicyInput, RequestId, VaultName, Version};
use crate::issuer::provider::{Health, IssuerInput, Order, Provider, State};
use crate::issuer::{Checkpoint, IssuerError, Step};
use crate::keys::chain::check_issued;
use crate::keys::{KeyPair, random_id, request};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Most calls of one order; a plug-in that needs more turns in circles.
const CALLS: usize = 300;
/// Between calls, whatever the plug-in asks for: the trial does not wait as long as a server would.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// What stands where a secret was taken out of the plug-in's words.
const HIDDEN: &str = "(hidden)";

/// How [`super::link::Link`] says that a call was given up.
const LATE: &str = "did not answer in time";

/// A plug-in under trial, and what to order.
pub struct Trial {
    /// A new connection to it, as after a restart of the server.
    pub new: Box<dyn Fn() -> Result<Plugin, String> + Send + Sync>,
    /// What its issuer object is set with.
    pub input: IssuerInput,
    pub subject: String,
    /// DNS names.
    pub names: Vec<String>,
    /// For one order.
    pub patience: Duration,
    pub clock: Arc<dyn Clock>,
}

/// A promise, and what was seen of it, or how it was broken.
#[derive(Debug)]
pub struct Promise {
    pub name: &'static str,
    pub kept: Result<String, String>,
}

/// What happens between the calls of an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// Nothing.
    Smooth,
    /// Each call is made twice with the same checkpoint, and the first answer is lost.
    Doubled,
    /// Each call is on a connection of its own.
    Reconnected,
    /// The answer of the n-th call is lost, and the next one comes over a new connection.
    Lost(usize),
    /// Cancelled after n calls.
    Cancelled(usize),
}

/// What was seen over all orders.
#[derive(Default)]
struct Seen {
    said: Vec<String>,
    checkpoints: Vec<Vec<u8>>,
    leaves: Vec<Vec<u8>>,
    longest: Duration,
}

struct Ended {
    step: Step,
    calls: usize,
}

impl Trial {
    /// Tries every promise that can be tried, and reports each when it is decided.
    pub async fn run(&self, mut report: impl FnMut(Promise)) {
        let mut say = |name, kept: Result<String, String>| {
            let fine = kept.is_ok();
            report(Promise { name, kept });
            fine
        };
        let plugin = match (self.new)() {
            Ok(plugin) => plugin,
            Err(problem) => {
                say("it can be tried", Err(problem));
                return;
            }
        };
        let described = plugin.describe().await.map_err(|error| error.to_string());
        let exactly_once = described.as_ref().is_ok_and(|described| described.exactly_once);
        let what = described.map(|described| {
            format!(
                "{} {} options, version {:?}",
                described.schema.summary,
                described.schema.options.len(),
                described.version
            )
        });
        if !say("it describes itself", what) {
            return;
        }
        let serves = plugin.serves().await.map_err(|status| status.message().to_owned());
        let serves = serves.and_then(|serves| match serves {
            true => Ok("SERVING".to_owned()),
            false => Err("grpc.health.v1 says that it does not serve".to_owned()),
        });
        say("it is healthy", serves);
        let state = match plugin.configure(&self.input, None).await {
            Ok(state) => state,
            Err(error) => {
                say("it accepts the issuer object", Err(error.message));
                return;
            }
        };
        say("it accepts the issuer object", Ok("the options are known and well-formed".to_owned()));
        let good = match plugin.check(&state).await {
            Health::Good(text) => Ok(text),
            Health::Unknown(text) | Health::Bad(text) => Err(text),
        };
        if !say("the credentials are good", good) {
            return;
        }
        let mut seen = Seen::default();
        let calls = self.orders(&state, exactly_once, &mut seen, &mut say).await;
        self.strange(&plugin, &state, calls, &mut seen, &mut say).await;
        let longest = format!("the longest took {} ms", seen.longest.as_millis());
        let late = seen.said.iter().find(|said| said.contains(LATE));
        say("every call is answered in time", late.map_or(Ok(longest), |late| Err(late.clone())));
        say("it repeats no secret", self.secrets(&state, &seen));
        say("what was ordered is revoked", revoked(&plugin, &state, &seen.leaves).await);
    }

    /// Orders that end with certificates, under every fate; answers how many calls a smooth one takes.
    async fn orders(
        &self,
        state: &State,
        exactly_once: bool,
        seen: &mut Seen,
        say: &mut impl FnMut(&'static str, Result<String, String>) -> bool,
    ) -> usize {
        let smooth = self.issued(state, Fate::Smooth, seen).await;
        let calls = smooth.as_ref().map_or(0, |(_, calls)| *calls);
        let told = smooth.map(|(chain, calls)| format!("{} certificates after {calls} calls", chain.len()));
        if !say("an order ends with a chain that fits its key and names", told) {
            return calls;
        }
        let before = seen.leaves.len();
        let doubled = self.issued(state, Fate::Doubled, seen).await;
        let doubled = doubled.and_then(|_| match &seen.leaves[before..] {
            leaves if leaves.iter().all(|leaf| leaf == &leaves[0]) => Ok("one certificate".to_owned()),
            _ if exactly_once => {
                Err("two certificates for one request_id, although it promises EXACTLY_ONCE".to_owned())
            }
            _ => Ok("two certificates for one request_id, as AT_LEAST_ONCE allows".to_owned()),
        });
        say("every call can be made twice", doubled);
        let reconnected = self.issued(state, Fate::Reconnected, seen).await;
        say(
            "it depends on no connection",
            reconnected.map(|(_, calls)| format!("{calls} calls on {calls} connections")),
        );
        let mut lost = Ok(format!("each of {calls} answers was lost once"));
        for call in 0..calls {
            if let Err(problem) = self.issued(state, Fate::Lost(call), seen).await {
                lost = Err(format!("after the answer of call {} was lost: {problem}", call + 1));
                break;
            }
        }
        say("an answer that is lost loses no order", lost);
        calls
    }

    /// What no order looks like.
    async fn strange(
        &self,
        plugin: &Plugin,
        state: &State,
        calls: usize,
        seen: &mut Seen,
        say: &mut impl FnMut(&'static str, Result<String, String>) -> bool,
    ) {
        let mut cancelled = Ok("cancelled, or issued first".to_owned());
        for after in 0..=calls {
            match self.run_order(state, Fate::Cancelled(after), seen).await {
                Ok((_, Ended { step: Step::Cancelled | Step::Issued { .. }, .. })) => {}
                Ok((_, Ended { step, .. })) => {
                    cancelled = Err(format!("cancelled after {after} calls: {}", short(&step)))
                }
                Err(problem) => cancelled = Err(format!("cancelled after {after} calls: {problem}")),
            }
        }
        say("an order can be cancelled at any time", cancelled);

        let garbage = Checkpoint(b"\xff{no checkpoint of yours".to_vec());
        let refused = match self.order() {
            Ok(order) => {
                let answer = plugin.advance(&order, state, &garbage).await;
                note(seen, &answer);
                alive(plugin, "answered").await
            }
            Err(problem) => Err(problem),
        };
        say("a checkpoint that is none breaks nothing", refused);

        let refused = match self.order() {
            Ok(order) => {
                let order = Order { csr: b"no request".to_vec(), ..order };
                match self.play(&order, state, Fate::Smooth, seen).await {
                    Ok(Ended { step: Step::Issued { .. }, .. }) => {
                        Err("it issued a certificate for bytes that are no request".to_owned())
                    }
                    Ok(Ended { step, .. }) => alive(plugin, &short(&step)).await,
                    Err(problem) => alive(plugin, &problem).await,
                }
            }
            Err(problem) => Err(problem),
        };
        say("a request that is none is refused", refused);
    }

    /// A whole order, and the check that the server makes of its chain.
    async fn issued(&self, state: &State, fate: Fate, seen: &mut Seen) -> Result<(Vec<Vec<u8>>, usize), String> {
        let (order, Ended { step, calls }) = self.run_order(state, fate, seen).await?;
        let Step::Issued { chain } = step else { return Err(short(&step)) };
        check_issued(&chain, &order.csr, &order.policy, self.clock.now())?;
        Ok((chain, calls))
    }

    async fn run_order(&self, state: &State, fate: Fate, seen: &mut Seen) -> Result<(Order, Ended), String> {
        let order = self.order()?;
        let ended = self.play(&order, state, fate, seen).await?;
        Ok((order, ended))
    }

    /// Plays the server: keeps what a step says before the next one, and nothing else.
    async fn play(&self, order: &Order, state: &State, fate: Fate, seen: &mut Seen) -> Result<Ended, String> {
        let (mut plugin, mut at) = ((self.new)()?, Checkpoint::default());
        let end = Instant::now() + self.patience;
        let mut trouble = None;
        for call in 0..CALLS {
            if fate == Fate::Reconnected || matches!(fate, Fate::Lost(lost) if call == lost + 1) {
                plugin = (self.new)()?;
            }
            let repeats = if fate == Fate::Doubled { 2 } else { 1 };
            let mut answer = None;
            for _ in 0..repeats {
                let begun = Instant::now();
                let step = match fate {
                    Fate::Cancelled(after) if call >= after => plugin.cancel(order, state, &at).await,
                    _ => plugin.advance(order, state, &at).await,
                };
                seen.longest = seen.longest.max(begun.elapsed());
                note(seen, &step);
                answer = Some(step);
            }
            if fate == Fate::Lost(call) {
                continue;
            }
            let wait = match answer {
                Some(Ok(progress)) => match progress.step {
                    Step::Pending { checkpoint, details, again } => {
                        (at, trouble) = (checkpoint, details);
                        again
                    }
                    step => return Ok(Ended { step, calls: call + 1 }),
                },
                Some(Err(IssuerError::Retry { after, source })) => {
                    trouble = Some(source.to_string());
                    after.unwrap_or(Duration::from_secs(1))
                }
                Some(Err(error)) => return Err(error.to_string()),
                None => Duration::ZERO,
            };
            if Instant::now() + wait.min(LONGEST_WAIT) > end {
                break;
            }
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
        }
        let why = trouble.map_or_else(String::new, |trouble| format!(": {trouble}"));
        Err(format!("no end after {} s{why}", self.patience.as_secs()))
    }

    fn order(&self) -> Result<Order, String> {
        let now = self.clock.now();
        let sans = crate::domain::san::SubjectAlternativeNames { dns_names: self.names.clone(), ..Default::default() };
        let key_type = KeyType::P256;
        let input = PolicyInput {
            kty: Some(key_type.kty().into()),
            curve: key_type.curve().map(Into::into),
            subject: Some(self.subject.clone()),
            sans: Some(sans),
            issuer_name: Some("plugin-test".into()),
            ..PolicyInput::default()
        };
        let policy: Policy = input.complete(now).map_err(|error| error.message)?;
        let key = KeyPair::generate(key_type).map_err(|error| error.message)?;
        Ok(Order {
            vault: VaultName::default_vault(),
            certificate: CertificateName::parse("plugin-test").map_err(|error| error.message)?,
            request_id: RequestId::from_uuid(random_id()),
            version: Version::parse(&random_id().simple().to_string()).map_err(|error| error.message)?,
            csr: request::certificate_request(&key, &policy).map_err(|error| error.message)?,
            policy,
            created: now,
            replaces: None,
            sealed_key: None,
            intent: None,
        })
    }

    /// The words were cleaned on their way; a checkpoint comes as it is, and is stored as it is.
    fn secrets(&self, state: &State, seen: &Seen) -> Result<String, String> {
        if let Some(said) = seen.said.iter().find(|said| said.contains(HIDDEN)) {
            return Err(format!("its words held a secret: {said}"));
        }
        let secrets = PluginState::read(state).map(|state| secrets_of(&state)).unwrap_or_default();
        let holds = |checkpoint: &Vec<u8>| {
            secrets.iter().any(|secret| checkpoint.windows(secret.len()).any(|part| part == secret.as_bytes()))
        };
        if seen.checkpoints.iter().any(holds) {
            return Err("a checkpoint holds a secret, and checkpoints are not sealed".to_owned());
        }
        Ok(format!("{} answers, {} secrets", seen.said.len(), secrets.len()))
    }
}

fn secrets_of(state: &PluginState) -> Vec<Zeroizing<String>> {
    let all = state.secrets.values().chain(&state.password).map(|secret| secret.trim());
    all.filter(|secret| secret.len() >= 4).map(|secret| Zeroizing::new(secret.to_owned())).collect()
}

fn note(seen: &mut Seen, answer: &Result<crate::issuer::provider::Progress, IssuerError>) {
    match answer {
        Ok(progress) => {
            match &progress.step {
                Step::Issued { chain } => seen.leaves.extend(chain.first().cloned()),
                Step::Pending { checkpoint, .. } => seen.checkpoints.push(checkpoint.0.clone()),
                Step::Failed { .. } | Step::Cancelled => {}
            }
            seen.said.push(format!("{} {:?}", short(&progress.step), progress.actions));
        }
        Err(error) => seen.said.push(error.to_string()),
    }
}

fn short(step: &Step) -> String {
    match step {
        Step::Pending { details, .. } => format!("still pending: {}", details.as_deref().unwrap_or("no details")),
        Step::Issued { chain } => format!("issued, {} certificates", chain.len()),
        Step::Failed { class, message } => format!("failed ({class:?}): {message}"),
        Step::Cancelled => "cancelled".to_owned(),
    }
}

async fn alive(plugin: &Plugin, answer: &str) -> Result<String, String> {
    match plugin.describe().await {
        Ok(_) => Ok(answer.to_owned()),
        Err(error) => Err(format!("afterwards it does not answer any more: {error}")),
    }
}

async fn revoked(plugin: &Plugin, state: &State, leaves: &[Vec<u8>]) -> Result<String, String> {
    let mut leaves = leaves.to_vec();
    leaves.sort();
    leaves.dedup();
    let count = leaves.len();
    for leaf in leaves {
        match plugin.revoke(leaf, state).await {
            Ok(true) => {}
            Ok(false) => return Ok(format!("it has no revocation: {count} certificates stay valid")),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(format!("{count} certificates"))
}
