//! One event to many watchers: when the last one has it, what a delivery costs, what a stream holds.

use crate::Times;
use crate::recorded::{Recorded, client, create};
use crate::support::{Failure, Row, Run, Server, channel, time};
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::{CancelPendingRequest, WatchPendingRequest, WatchSnapshot};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::Channel;

/// Streams of one connection.
const PER_CONNECTION: usize = 100;

/// Which server is told to make an event, and how.
#[derive(Clone, Copy)]
enum Side {
    /// A create: one event.
    Ours,
    /// The bare server sends its recorded event when it is asked to cancel something.
    Bare,
}

struct Measured {
    run: Run,
    /// When the last watcher had it, for each event.
    last: Vec<Duration>,
    /// Resident memory for each stream: waiting, and after the events.
    idle: f64,
    after: f64,
}

/// Many streams of one client process; each tells when an event reached it.
struct Watchers {
    arrivals: mpsc::UnboundedReceiver<Instant>,
    ended: Arc<Mutex<Option<String>>>,
    _tasks: JoinSet<()>,
}

impl Watchers {
    /// Opens `count` streams, and waits until each has caught up.
    async fn open(server: &Server, count: usize) -> Result<Self, Failure> {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let ended = Arc::new(Mutex::new(None));
        let mut tasks = JoinSet::new();
        let mut opened = 0;
        while opened < count {
            let channel = channel(server).await?;
            for _ in 0..PER_CONNECTION.min(count - opened) {
                let mut stream = open(channel.clone()).await?;
                let (arrived, ended) = (arrived.clone(), ended.clone());
                tasks.spawn(async move {
                    let why = loop {
                        match stream.message().await {
                            Ok(Some(message)) if matches!(message.payload, Some(Payload::Event(_))) => {
                                let _ = arrived.send(Instant::now());
                            }
                            Ok(Some(_)) => {}
                            Ok(None) => break "a stream ended".to_owned(),
                            Err(status) => break status.to_string(),
                        }
                    };
                    if let Ok(mut ended) = ended.lock() {
                        *ended = Some(why);
                    }
                });
                opened += 1;
            }
        }
        Ok(Self { arrivals, ended, _tasks: tasks })
    }

    /// The next `count` arrivals.
    async fn gather(&mut self, count: usize) -> Result<Vec<Instant>, Failure> {
        let mut times = Vec::with_capacity(count);
        while times.len() < count {
            match tokio::time::timeout(Duration::from_secs(20), self.arrivals.recv()).await {
                Ok(Some(time)) => times.push(time),
                _ => {
                    let why = self.ended.lock().ok().and_then(|ended| ended.clone()).unwrap_or_default();
                    return Err(format!("only {} of {count} watchers had the event {why}", times.len()).into());
                }
            }
        }
        Ok(times)
    }
}

/// A stream that has sent its first message, the bookmark.
async fn open(channel: Channel) -> Result<tonic::Streaming<certmint::proto::v1::WatchPendingResponse>, Failure> {
    let wanted = WatchPendingRequest { snapshot: WatchSnapshot::None.into(), ..Default::default() };
    let mut stream = client(channel).watch_pending(wanted).await?.into_inner();
    match stream.message().await? {
        Some(first) if matches!(first.payload, Some(Payload::Bookmark(_))) => Ok(stream),
        other => Err(format!("a stream began with {other:?}").into()),
    }
}

async fn measure(server: &Server, side: Side, count: usize, events: usize) -> Result<Measured, Failure> {
    let mut trigger = client(channel(server).await?);
    // One stream and one event before everything: what is made once is not counted for the streams.
    let mut first = Watchers::open(server, 1).await?;
    act(&mut trigger, side, "warm").await?;
    first.gather(1).await?;
    drop(first);
    server.settle().await?;
    let empty = server.process.memory()?;
    let per_stream = |memory: u64| (memory as f64 - empty as f64) / count as f64;

    let mut watchers = Watchers::open(server, count).await?;
    server.settle().await?;
    let idle = per_stream(server.process.memory()?);
    let (mut run, mut last) = (Run::default(), Vec::new());
    for number in 0..events {
        let cpu = server.process.cpu()?;
        let begun = Instant::now();
        act(&mut trigger, side, &format!("event-{number}")).await?;
        let times = watchers.gather(count).await?;
        let latencies: Vec<Duration> = times.iter().map(|time| time.duration_since(begun)).collect();
        let slowest = latencies.iter().max().copied().unwrap_or_default();
        last.push(slowest);
        // The server may still be tidying up after the last delivery.
        server.settle().await?;
        run.add(Run { elapsed: slowest, cpu: server.process.cpu()? - cpu, latencies });
    }
    let after = per_stream(server.process.memory()?);
    Ok(Measured { run, last, idle, after })
}

async fn act(
    client: &mut certmint::proto::v1::certificate_service_client::CertificateServiceClient<Channel>,
    side: Side,
    name: &str,
) -> Result<(), Failure> {
    match side {
        Side::Ours => client.create_certificate(create(name)).await.map(drop)?,
        Side::Bare => client.cancel_pending(CancelPendingRequest::default()).await.map(drop)?,
    }
    Ok(())
}

pub(crate) async fn watch(recorded: &Recorded, times: Times, count: usize) -> Result<Row, Failure> {
    let server = Server::fresh()?;
    let ours = measure(&server, Side::Ours, count, times.events).await?;
    drop(server);
    let server = Server::bare(recorded.folder())?;
    let bare = measure(&server, Side::Bare, count, times.events).await?;
    let what = format!("(e) one event to {count} watchers: gRPC, TLS, {PER_CONNECTION} on a connection");
    let aim = if count >= 10_000 { "p99 under 500 ms, under 3 KB a stream" } else { "" };
    let mut row = Row::of_runs(what, &ours.run, "tonic stream, broadcast", &bare.run, aim);
    row.ours[4] = ours.also();
    if let Some((_, cells)) = &mut row.bare {
        cells[4] = bare.also();
    }
    Ok(row)
}

impl Measured {
    fn also(&self) -> String {
        let mut last = self.last.clone();
        last.sort_unstable();
        let median = last.get(last.len() / 2).copied().unwrap_or_default();
        let kilobytes = |bytes: f64| bytes / 1024.0;
        format!(
            "the last after {} (median of {}); {:.2} KB a stream, {:.2} KB after the events",
            time(median),
            last.len(),
            kilobytes(self.idle),
            kilobytes(self.after)
        )
    }
}
