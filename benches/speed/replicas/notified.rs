//! From a commit on one replica to its arrival at a watcher on another: with the note that replicas send each other,
//! and without it, on idle replicas and under load.

use super::EVENT;
use super::body;
use super::database::{Database, connect};
use crate::Times;
use crate::recorded::{client, create};
use crate::support::{Failure, Report, Row, Run, Server, channel, time};
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::{WatchPendingRequest, WatchSnapshot};
use futures_util::future::poll_fn;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_postgres::{AsyncMessage, NoTls};

/// How often a replica polls, besides notifications: the default of certmint.
const POLL: Duration = Duration::from_millis(200);
/// Creations of others in a second, all of them on the replica of the measured ones: who commits himself hears of
/// everything at once.
const LOAD: u32 = 200;
/// Callers that make them.
const BUSY: u32 = 20;
/// Between two transitions: uneven, so that none meets the rhythm of anything.
const PAUSES: [u64; 7] = [11, 53, 29, 17, 41, 23, 37];

/// What is measured of each transition: since it was asked for, so with the commit itself, and since the answer.
#[derive(Default)]
struct Told {
    asked: Run,
    answered: Run,
}

impl Told {
    fn of(sent: &HashMap<String, (Instant, Instant)>, arrived: &HashMap<String, Instant>) -> Result<Self, Failure> {
        let mut told = Self::default();
        for (name, (asked, answered)) in sent {
            let arrived = arrived.get(name).ok_or_else(|| format!("a watcher was not told of {name}"))?;
            told.asked.latencies.push(arrived.duration_since(*asked));
            told.answered.latencies.push(arrived.saturating_duration_since(*answered));
        }
        Ok(told)
    }

    fn also(&self) -> String {
        let since = |share| time(self.answered.percentile(share));
        format!("since the answer p50 {}, p99 {}", since(0.5), since(0.99))
    }
}

type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

/// Waits until everything has arrived, or long enough.
async fn all_of(arrivals: &Arrivals, count: usize) -> Result<HashMap<String, Instant>, Failure> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let arrived = arrivals.lock().map_err(|_| "a watcher panicked")?.clone();
        if arrived.len() >= count || Instant::now() > until {
            return Ok(arrived);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(super) async fn measure(database: &Database, times: Times, report: &Report) -> Result<(), Failure> {
    for (poke, how, bare_name, aim) in [
        (true, "with notes", "insert, NOTIFY, read", "p99 under 100 ms"),
        (false, "without notes", "insert, look each 200 ms", "p99 under 300 ms"),
    ] {
        let (url, bare_url) = (database.fresh().await?, database.fresh().await?);
        // The first note of a process goes out at once, the next one after this time.
        let limit = if poke { "" } else { "poke = '24h'\n" };
        let settings = format!("[store]\nurl = '{url}'\n{limit}[limits]\nkey_queue = 1024\n");
        let data = TempDir::new()?;
        let replicas = [Server::certmint(data.path(), &settings)?, Server::certmint(data.path(), &settings)?];
        for replica in &replicas {
            client(channel(replica).await?).create_certificate(create(&format!("warm-{}", replica.port))).await?;
            replica.settle().await?;
        }
        for (load, when) in [(0, "idle"), (LOAD, "beside 200 creations a second")] {
            let _load = Load::start(&replicas[0], load, how).await?;
            let ours = over_replicas(&replicas, times.told, &format!("{when}-{how}").replace(' ', "-")).await?;
            let bare = bare(&bare_url, poke, times.told).await?;
            let what = format!("(h) from a create to a watcher on another replica, {how}, {when}");
            let mut row = Row::of_runs(what, &ours.asked, bare_name, &bare.asked, aim).without_rate().without_cpu();
            row.ours[4] = ours.also();
            if let Some((_, cells)) = &mut row.bare {
                cells[4] = bare.also();
            }
            report.add(row);
        }
    }
    Ok(())
}

async fn over_replicas([here, there]: &[Server; 2], count: usize, name: &str) -> Result<Told, Failure> {
    let arrivals = Arrivals::default();
    let wanted = WatchPendingRequest { snapshot: WatchSnapshot::None.into(), ..Default::default() };
    let mut stream = client(channel(there).await?).watch_pending(wanted).await?.into_inner();
    stream.message().await?;
    let prefix = format!("{name}-");
    let watching = tokio::spawn({
        let (arrivals, prefix) = (arrivals.clone(), prefix.clone());
        async move {
            while let Ok(Some(message)) = stream.message().await {
                let now = Instant::now();
                if let Some(Payload::Event(event)) = message.payload
                    && let Some(operation) = event.operation
                    && operation.certificate_name.starts_with(&prefix)
                    && let Ok(mut arrivals) = arrivals.lock()
                {
                    arrivals.insert(operation.certificate_name, now);
                }
            }
        }
    });
    let mut caller = client(channel(here).await?);
    let mut sent = HashMap::new();
    for number in 0..count {
        let name = format!("{prefix}{number}");
        let asked = Instant::now();
        caller.create_certificate(create(&name)).await?;
        sent.insert(name, (asked, Instant::now()));
        pause(number).await;
    }
    let arrived = all_of(&arrivals, count).await?;
    watching.abort();
    Told::of(&sent, &arrived)
}

async fn pause(number: usize) {
    tokio::time::sleep(Duration::from_millis(PAUSES[number % PAUSES.len()])).await;
}

/// Creations at a given rate, until it is dropped.
struct Load(JoinSet<()>);

impl Load {
    async fn start(replica: &Server, rate: u32, name: &str) -> Result<Self, Failure> {
        let mut tasks = JoinSet::new();
        if rate == 0 {
            return Ok(Self(tasks));
        }
        let every = Duration::from_secs(1) * BUSY / rate;
        for number in 0..BUSY {
            let mut caller = client(channel(replica).await?);
            let name = format!("load-{}-{number}", name.replace(' ', "-"));
            tasks.spawn(async move {
                tokio::time::sleep(every * number / BUSY).await;
                let mut ticks = tokio::time::interval(every);
                for count in 0_u64.. {
                    ticks.tick().await;
                    if caller.create_certificate(create(&format!("{name}-{count}"))).await.is_err() {
                        break;
                    }
                }
            });
        }
        // Until it runs evenly.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Self(tasks))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.abort_all();
    }
}

/// One connection that inserts and notifies, one that listens (or polls) and reads.
async fn bare(url: &str, note: bool, count: usize) -> Result<Told, Failure> {
    let (here, told) = (connect(url).await, connect(url).await);
    let (there, mut connection) = tokio_postgres::connect(url, NoTls).await?;
    let (heard, mut notes) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if matches!(message, AsyncMessage::Notification(_)) {
                let _ = heard.send(());
            }
        }
    });
    here.batch_execute("-- empty\nTRUNCATE events").await?;
    if note {
        there.batch_execute("-- listen\nLISTEN bare").await?;
    }
    let next = there.prepare("-- next\nSELECT revision FROM events WHERE revision > $1 ORDER BY revision").await?;
    let insert = here.prepare("-- insert\nINSERT INTO events VALUES ($1, 0, $2)").await?;
    told.batch_execute("-- light\nSET synchronous_commit = off").await?;
    let arrivals = Arrivals::default();
    tasks.spawn({
        let arrivals = arrivals.clone();
        async move {
            let mut last = 0_i64;
            loop {
                let Ok(rows) = there.query(&next, &[&last]).await else { break };
                let now = Instant::now();
                for row in rows {
                    last = row.get(0);
                    if let Ok(mut arrivals) = arrivals.lock() {
                        arrivals.insert(last.to_string(), now);
                    }
                }
                if note {
                    notes.recv().await;
                } else {
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    });
    let event = body(EVENT);
    let mut sent = HashMap::new();
    for number in 0..count {
        let revision = i64::try_from(number)? + 1;
        let asked = Instant::now();
        here.execute(&insert, &[&revision, &event.as_bytes()]).await?;
        sent.insert(revision.to_string(), (asked, Instant::now()));
        if note {
            told.batch_execute("-- tell\nNOTIFY bare").await?;
        }
        pause(number).await;
    }
    let arrived = all_of(&arrivals, count).await?;
    tasks.abort_all();
    Told::of(&sent, &arrived)
}
