//! A year of renewals: certificates of 47 and of 6 days, two replicas on one store, a CA that is away for three days at a
//! time, clocks that jump, replicas that are killed. None expires, none is renewed over and over, and renewals do not
//! come in herds.
//!
//! `YEAR_SEED=7 cargo test --test sim year -- --nocapture` repeats one; `YEAR_CERTIFICATES` and `YEAR_DAYS` make it larger, as
//! `make soak` does.

use crate::dice::Dice;
use crate::false_provider::FalseProvider;
use crate::permit::{ask, new_certificate};
use certmint::clock::{Clock, ManualClock};
use certmint::domain::granted::Granted;
use certmint::domain::{IssuerInput, IssuerName, Operation, Timestamp, VaultName};
use certmint::issuer::provider::{Progress, Provider, State};
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::{FailureClass, IssuerError, Issuers};
use certmint::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use certmint::limits::Limits;
use certmint::service::{Due, ListRequest, Service, ServiceOptions};
use certmint::store::Store;
use certmint::store::sqlite::Sqlite;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const BEGIN: i64 = 1_800_000_000_000;
/// Time passes in such steps; a lease is over after one.
const STEP: i64 = 20 * MINUTE;
/// As long as half of six days, without the moments in which nothing can be done any more.
const OUTAGE: i64 = 3 * DAY - 90 * MINUTE;
/// In percent of the certificates: the others live 47 days.
const SHORT_LIVED: usize = 25;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// The CA: when it is away.
#[derive(Default)]
struct Ca {
    outages: Vec<(i64, i64)>,
    /// Calls for each operation, by their id.
    seen: BTreeMap<u128, usize>,
}

impl Ca {
    fn is_away(&self, now: i64) -> bool {
        self.outages.iter().any(|(from, until)| (*from..*until).contains(&now))
    }
}

fn life(name: &str) -> i64 {
    if name.starts_with("short") { 6 * DAY } else { 47 * DAY }
}

struct Year {
    seed: u64,
    clock: Arc<ManualClock>,
    store: Arc<dyn Store>,
    ca: Arc<Mutex<Ca>>,
    dice: Dice,
    names: Vec<String>,
}

impl Year {
    fn new(seed: u64, certificates: usize, days: i64) -> Self {
        let mut dice = Dice::new(seed);
        let mut outages = Vec::new();
        // None in the first days, in which the certificates are made.
        let mut at = BEGIN + 50 * DAY;
        while at + OUTAGE < BEGIN + (days - 8) * DAY {
            outages.push((at, at + OUTAGE));
            at += OUTAGE + 20 * DAY + dice.below(60) as i64 * DAY + dice.below(24) as i64 * HOUR;
        }
        let names = (0..certificates).map(|number| match number * 100 < certificates * SHORT_LIVED {
            true => format!("short{number}"),
            false => format!("long{number}"),
        });
        Self {
            seed,
            clock: Arc::new(ManualClock::at(Timestamp(BEGIN))),
            store: Arc::new(Sqlite::open_in_memory().unwrap()),
            ca: Arc::new(Mutex::new(Ca { outages, ..Ca::default() })),
            names: names.collect(),
            dice,
        }
    }

    /// A process on the store.
    async fn replica(&self) -> Service {
        let sealer =
            Arc::new(Sealer::new(MasterKeys::from_text("k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap()));
        let keys = KeyOptions { workers: 1, ..KeyOptions::on_demand() };
        let keys = Arc::new(Keys::new(sealer, &keys, &Limits::default()).unwrap());
        let signs: Arc<dyn Provider> = Arc::new(SelfSigned::new(keys.clone()));
        let (ca, clock, needs) = (self.ca.clone(), self.clock.clone(), signs.needs());
        let signer = signs.clone();
        let mut provider = FalseProvider::new("Year", move |mut call| {
            let (ca, signs, now) = (ca.clone(), signer.clone(), clock.now().0);
            async move {
                let id = call.order.request_id.as_u128();
                let (is_away, fails) = {
                    let mut ca = ca.lock().unwrap();
                    *ca.seen.entry(id).or_default() += 1;
                    // An outage is met in two ways: nobody answers, or the CA refuses.
                    (ca.is_away(now), id % 2 == 0)
                };
                if is_away && fails {
                    return Ok(Progress::failed(FailureClass::IssuerError, "The CA is closed."));
                }
                if is_away {
                    let after = Some(Duration::from_secs(3600));
                    return Err(IssuerError::Retry { after, source: "nobody answers".into() });
                }
                let seconds = u64::try_from(life(call.order.certificate.as_str()) / 1000).unwrap();
                call.order.policy.granted = Some(Granted {
                    profile: "year".to_owned(),
                    seconds: Some(seconds),
                    revocation: Default::default(),
                    must_staple: false,
                });
                signs.advance(&call.order, &State::default(), &call.at).await
            }
        });
        provider.needs = needs;
        let issuers = Issuers::new(signs).with_provider(Arc::new(provider));
        Service::new(self.store.clone(), issuers, keys, self.clock.clone(), ServiceOptions::default()).await.unwrap()
    }

    fn now(&self) -> i64 {
        self.clock.now().0
    }

    /// All that is due, by replicas of which some end with what they have claimed.
    async fn work(&mut self, replicas: &mut [Service; 2]) {
        for _ in 0..100 {
            let mut done = 0;
            for replica in replicas.iter_mut() {
                let due: Vec<Due> = replica.jobs().claim(64).await.unwrap();
                done += due.len();
                if !due.is_empty() && self.dice.below(400) == 0 {
                    // Killed: its claims are due again when their leases are over.
                    *replica = self.replica().await;
                    continue;
                }
                for due in due {
                    replica.jobs().step(due).await.unwrap();
                }
            }
            if done == 0 {
                return;
            }
        }
        panic!("seed {}: something is due over and over", self.seed);
    }

    /// What is wrong now.
    async fn expired(&self, service: &Service) -> Vec<String> {
        let (mut expired, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                ListRequest { vault: VaultName::default_vault(), page_size: 1000, page_token, include_pending: false };
            let page = ask!(service, certificates.list_certificates(request)).unwrap();
            let over = page.items.iter().filter(|item| item.expires.0 <= self.now());
            expired.extend(over.map(|item| format!("{} expired at {}", item.name, item.expires.0 - BEGIN)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return expired;
            }
        }
    }
}

/// Renewals that were begun, by when.
async fn begun(store: &dyn Store) -> Vec<Operation> {
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let page = store.events(after, 1000).await.unwrap();
        let Some(last) = page.events.last() else { return all };
        after = last.revision;
        for event in &page.events {
            let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
            if body["value"]["kind"] == "Created" && !body["value"]["operation"]["renews"].is_null() {
                all.push(serde_json::from_value(body["value"]["operation"].clone()).unwrap());
            }
        }
    }
}

#[tokio::test]
async fn in_a_year_nothing_expires_and_nothing_is_renewed_in_herds_or_over_and_over() {
    let seed = setting("YEAR_SEED", 1);
    let certificates = usize::try_from(setting("YEAR_CERTIFICATES", 48)).unwrap();
    let days = i64::try_from(setting("YEAR_DAYS", 200)).unwrap();
    let mut year = Year::new(seed, certificates, days);
    println!("YEAR_SEED={seed} YEAR_CERTIFICATES={certificates} YEAR_DAYS={days}");
    let mut replicas = [year.replica().await, year.replica().await];
    let input = IssuerInput { provider: Some("Year".into()), ..IssuerInput::default() };
    let ca = (VaultName::default_vault(), IssuerName::parse("ca").unwrap());
    ask!(replicas[0], issuers.set_issuer(ca, input)).unwrap();
    // The fleet was made over the first forty days.
    let mut made = 0;
    let (mut problems, mut jumped) = (Vec::new(), 0);
    for step in 0..days * DAY / STEP {
        year.clock.set(Timestamp(BEGIN + step * STEP));
        // For one look the clock is up to six hours ahead.
        if year.dice.below(1500) == 0 && step * STEP > 50 * DAY {
            jumped += 1;
            year.clock.advance(Duration::from_millis(year.dice.below(6 * HOUR as usize) as u64));
        }
        while made < certificates && made as i64 * 40 * DAY / certificates as i64 <= step * STEP {
            let request = new_certificate(VaultName::default_vault(), &year.names[made], "ca");
            ask!(replicas[made % 2], creations.create(request)).unwrap();
            made += 1;
        }
        year.work(&mut replicas).await;
        if step % (12 * HOUR / STEP) == 0 {
            problems.extend(year.expired(&replicas[0]).await);
        }
    }
    assert!(problems.is_empty(), "seed {seed}:\n{}", problems.join("\n"));
    let all = begun(&*year.store).await;
    let mut of: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in &all {
        of.entry(operation.certificate.as_str()).or_default().push(operation);
    }
    assert_eq!(of.len(), certificates, "seed {seed}: every one was renewed");
    let ca = year.ca.lock().unwrap();
    let mut most = (0.0_f64, String::new());
    for (name, operations) in &of {
        // What is needed: at half of the life, or at 80 %; and what outages add, a ladder each.
        let every = if life(name) < 10 * DAY { life(name) * 48 / 100 } else { life(name) * 78 / 100 };
        let needed = (days * DAY / every + 1) as usize;
        let allowed = needed + ca.outages.len() * 24;
        assert!(operations.len() <= allowed, "seed {seed}: {name} was tried {} times of {allowed}", operations.len());
        let share = operations.len() as f64 / needed as f64;
        if share > most.0 {
            most = (share, (*name).to_owned());
        }
    }
    // Bins in which so many begin on average that chance alone makes no peak of three times as many.
    let from = BEGIN + 60 * DAY;
    let times: Vec<i64> = all.iter().map(|operation| operation.created.0).filter(|at| *at >= from).collect();
    let in_an_hour = times.len() as f64 * HOUR as f64 / (days - 60) as f64 / DAY as f64;
    let bin = if in_an_hour >= 20.0 { HOUR } else { (DAY as f64 * (20.0 / (in_an_hour * 24.0)).ceil()) as i64 };
    let mut bins: BTreeMap<i64, usize> = BTreeMap::new();
    for at in &times {
        *bins.entry((at - from) / bin).or_default() += 1;
    }
    let mean = times.len() as f64 * bin as f64 / ((days - 60) * DAY) as f64;
    let peak = bins.values().copied().max().unwrap_or_default() as f64;
    println!(
        "{} renewals begun, {} CA calls, {} outages, {jumped} jumps; most attempts {:.1} times what is needed ({}); \
         herd factor {:.2} in bins of {} h (mean {mean:.1})",
        all.len(),
        ca.seen.values().sum::<usize>(),
        ca.outages.len(),
        most.0,
        most.1,
        peak / mean,
        bin / HOUR,
    );
    assert!(peak / mean < 3.0, "seed {seed}: {peak} renewals in {} h, {mean:.1} on average", bin / HOUR);
}
