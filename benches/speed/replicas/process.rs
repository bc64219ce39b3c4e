//! One replica's store as a process of its own. It does what it reads, line by line, and answers each line with one:
//! `own CALLERS` (records to change), `commit CALLERS MILLISECONDS`, `claim`.

use super::{EVENT, RECORD, body};
use crate::support::{Failure, Process, Run, own_cpu};
use certmint::domain::Timestamp;
use certmint::store::StoreOptions;
use certmint::store::postgres::Postgres;
use certmint::store::{Batch, Put, Revision, Store};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, io};
use tokio::task::JoinSet;

/// Records that one caller changes in turn.
const RECORDS: usize = 8;
/// Records of one claim: the places of a worker.
pub(super) const CLAIM: usize = 64;

/// The other end of such a process.
pub(super) struct Replica(Process);

impl Replica {
    /// Waits until its store is open.
    pub(super) fn start(url: &str, number: usize) -> Result<Self, Failure> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["replica", url, &number.to_string()]);
        let mut process = Process::start(command)?;
        process.line()?;
        Ok(Self(process))
    }

    /// All do what the line of their number says, at the same time.
    pub(super) fn together(replicas: &mut [Self], line: impl Fn(usize) -> String) -> Result<Vec<Run>, Failure> {
        for (number, Self(process)) in replicas.iter_mut().enumerate() {
            process.tell(&line(number))?;
        }
        replicas.iter_mut().map(|Self(process)| Run::of_line(&process.line()?)).collect()
    }
}

/// What several did at the same time, as one.
pub(super) fn of_all(runs: Vec<Run>) -> Run {
    let mut all = Run::default();
    for Run { elapsed, cpu, latencies } in runs {
        all.elapsed = all.elapsed.max(elapsed);
        all.cpu += cpu;
        all.latencies.extend(latencies);
    }
    all
}

/// The process: until its input ends.
pub(crate) fn run(url: &str, number: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Arc::new(Postgres::open(url.parse()?, StoreOptions::default()).await?);
        let mut callers: Vec<Caller> = Vec::new();
        println!("ready");
        for line in io::stdin().lines() {
            let line = line?;
            let run = match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["own", count] => {
                    for caller in callers.len()..count.parse()? {
                        callers.push(Caller::new(store.clone(), &format!("{number}-{caller}")).await?);
                    }
                    Run::default()
                }
                ["commit", count, millis] => {
                    let rest = callers.split_off(count.parse::<usize>()?.min(callers.len()));
                    let run;
                    (callers, run) = commit(callers, Duration::from_millis(millis.parse()?)).await?;
                    callers.extend(rest);
                    run
                }
                ["claim"] => claim(&store).await?,
                _ => return Err(format!("a replica was told {line:?}").into()),
            };
            println!("{}", run.line()?);
        }
        Ok(())
    })
}

/// Somebody who moves his operations on, one after the other.
struct Caller {
    store: Arc<Postgres>,
    /// Keys with their revisions.
    records: Vec<(String, Revision)>,
    record: Vec<u8>,
    event: Vec<u8>,
    next: usize,
}

impl Caller {
    async fn new(store: Arc<Postgres>, name: &str) -> Result<Self, Failure> {
        let (record, event) = (body(RECORD).into_bytes(), body(EVENT).into_bytes());
        let mut records = Vec::with_capacity(RECORDS);
        for number in 0..RECORDS {
            let key = format!("pending/default/replica-{name}-{number}");
            let put = Put { key: key.clone(), expected: None, body: record.clone(), due: Some(Timestamp(0)) };
            records.push((key, store.commit(Batch { puts: vec![put], ..Batch::default() }).await?));
        }
        Ok(Self { store, records, record, event, next: 0 })
    }

    async fn transition(&mut self) -> Result<(), Failure> {
        self.next += 1;
        let place = self.next % RECORDS;
        let due = i64::try_from(self.next)?;
        let (key, revision) = &mut self.records[place];
        let put = Put {
            key: key.clone(),
            expected: Some(*revision),
            body: self.record.clone(),
            // Another one each time, as with every step of an operation.
            due: Some(Timestamp(due)),
        };
        let batch = Batch { puts: vec![put], events: vec![self.event.clone()], ..Batch::default() };
        *revision = self.store.commit(batch).await?;
        Ok(())
    }
}

async fn commit(callers: Vec<Caller>, time: Duration) -> Result<(Vec<Caller>, Run), Failure> {
    let mut tasks = JoinSet::new();
    let (cpu, begun) = (own_cpu()?, Instant::now());
    for mut caller in callers {
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while begun.elapsed() < time {
                let asked = Instant::now();
                caller.transition().await?;
                latencies.push(asked.elapsed());
            }
            Ok::<_, Failure>((caller, latencies))
        });
    }
    let (mut callers, mut run) = (Vec::new(), Run::default());
    while let Some(done) = tasks.join_next().await {
        let (caller, latencies) = done??;
        callers.push(caller);
        run.latencies.extend(latencies);
    }
    run.elapsed = begun.elapsed();
    run.cpu = own_cpu()? - cpu;
    Ok((callers, run))
}

/// Takes all that is due before the year 2000, which is when the benchmark has its due records.
async fn claim(store: &Postgres) -> Result<Run, Failure> {
    let (now, until) = (Timestamp::from_seconds(946_684_800), Timestamp::from_seconds(4_102_444_800));
    let (cpu, begun) = (own_cpu()?, Instant::now());
    let mut latencies = Vec::new();
    loop {
        let asked = Instant::now();
        if store.claim(now, until, CLAIM).await?.is_empty() {
            break;
        }
        latencies.push(asked.elapsed());
    }
    Ok(Run { elapsed: begun.elapsed(), cpu: own_cpu()? - cpu, latencies })
}
