//! Load: so many callers, each with one request under way, for so long.

use super::{Failure, Process};
use std::fmt::Write;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Somebody who asks again and again.
pub(crate) trait Caller: Send + 'static {
    /// One request and its answer; anything but the right answer is a failure.
    fn call(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What one side did in one or more runs.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) elapsed: Duration,
    /// Of the measured process, all its threads.
    pub(crate) cpu: Duration,
    pub(crate) latencies: Vec<Duration>,
}

impl Run {
    pub(crate) fn add(&mut self, other: Run) {
        let Run { elapsed, cpu, latencies } = other;
        self.elapsed += elapsed;
        self.cpu += cpu;
        self.latencies.extend(latencies);
    }

    /// What a process of this program tells of its run: one line of nanoseconds.
    pub(crate) fn line(&self) -> Result<String, Failure> {
        let Self { elapsed, cpu, latencies } = self;
        let mut line = format!("{} {}", elapsed.as_nanos(), cpu.as_nanos());
        for latency in latencies {
            write!(line, " {}", latency.as_nanos())?;
        }
        Ok(line)
    }

    /// The same read.
    pub(crate) fn of_line(line: &str) -> Result<Self, Failure> {
        let numbers = line.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let [elapsed, cpu, latencies @ ..] = numbers.as_slice() else { return Err("a process told no run".into()) };
        Ok(Self {
            elapsed: Duration::from_nanos(*elapsed),
            cpu: Duration::from_nanos(*cpu),
            latencies: latencies.iter().copied().map(Duration::from_nanos).collect(),
        })
    }

    /// In a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn cpu_each(&self) -> Duration {
        self.cpu / u32::try_from(self.latencies.len().max(1)).unwrap_or(u32::MAX)
    }

    /// The latency that this share of all (0 to 1) did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let place = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(place.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
    }
}

/// Lets the callers call for `time`, each once at least; gives them back for the next run. What is under way at the
/// end is waited for.
pub(crate) async fn drive<C: Caller>(
    callers: Vec<C>,
    server: &Process,
    time: Duration,
) -> Result<(Vec<C>, Run), Failure> {
    let mut tasks = JoinSet::new();
    let (cpu, begun) = (server.cpu()?, Instant::now());
    for mut caller in callers {
        tasks.spawn(async move {
            let mut latencies = Vec::with_capacity(4096);
            loop {
                let asked = Instant::now();
                caller.call().await?;
                latencies.push(asked.elapsed());
                if begun.elapsed() >= time {
                    break;
                }
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
    run.cpu = server.cpu()? - cpu;
    Ok((callers, run))
}
