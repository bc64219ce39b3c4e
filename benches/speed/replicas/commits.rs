//! Durable transitions: what one to three replicas bring onto the disk, beside `pgbench` with the same rows.

use super::database::{Database, Until, connect};
use super::process::{Replica, of_all};
use super::{EVENT, RECORD, body};
use crate::Times;
use crate::support::{Failure, Report, Row, Run, time};

const CALLERS: [usize; 5] = [1, 4, 16, 64, 256];
const REPLICAS: usize = 3;

/// The rows of one transition, without anything that makes it certmint's: no expected revision, and a sequence, whose
/// order is not that of the commits. One statement, so that nothing is lost on the way between two.
const BARE: &str = "\
-- bare_transition
\\set place random(0, 7)
WITH changed AS (
    UPDATE records SET revision = revision + 1, due = due + 1, body = :record
    WHERE key = 'pending/default/bare-' || :client_id || '-' || :place
)
INSERT INTO events (at, body) VALUES (0, :event);
";

const BARE_RECORDS: &str = "\
-- bare_records
CREATE SEQUENCE revision;
ALTER TABLE events ALTER revision SET DEFAULT nextval('revision');
INSERT INTO records
SELECT 'pending/default/bare-' || client || '-' || place, 1, 0, ''
FROM generate_series(0, 255) AS client, generate_series(0, 7) AS place;
";

pub(super) async fn measure(database: &Database, times: Times, report: &Report) -> Result<(), Failure> {
    let (url, bare_url) = (database.fresh().await?, database.fresh().await?);
    connect(&bare_url).await.batch_execute(BARE_RECORDS).await?;
    let mut replicas = (0..REPLICAS).map(|number| Replica::start(&url, number)).collect::<Result<Vec<_>, _>>()?;
    let most = CALLERS.iter().max().copied().unwrap_or_default();
    Replica::together(&mut replicas, |_| format!("own {most}"))?;
    for callers in CALLERS {
        report.add(with(callers, database, &bare_url, &mut replicas, times)?);
    }
    Ok(())
}

fn with(
    callers: usize,
    database: &Database,
    bare_url: &str,
    replicas: &mut [Replica],
    times: Times,
) -> Result<Row, Failure> {
    let (record, event) = (body(RECORD), body(EVENT));
    let mut ours: Vec<Run> = Vec::new();
    ours.resize_with(REPLICAS.min(callers), Run::default);
    let mut bare = Run::default();
    for _ in 0..times.turns.div_ceil(2) {
        for (more, ours) in ours.iter_mut().enumerate() {
            let count = more + 1;
            let runs = Replica::together(&mut replicas[..count], |number| {
                // As even as it goes.
                let share = (callers + number) / count;
                format!("commit {share} {}", times.run.as_millis() / 2)
            })?;
            ours.add(of_all(runs));
        }
        let variables = [("record", record.as_str()), ("event", event.as_str())];
        bare.add(database.pgbench(bare_url, BARE, &variables, callers, Until::Time(times.run))?);
    }
    let plural = if callers == 1 { "" } else { "s" };
    let what = format!("(g) durable transitions on PostgreSQL, {callers} caller{plural}, one replica");
    let aim = if callers == 64 { "rate at least 0.5x" } else { "" };
    let mut row = Row::of_runs(what, &ours[0], "pgbench, the same rows", &bare, aim).without_cpu();
    let others: Vec<String> = ours[1..]
        .iter()
        .zip(2..)
        .map(|(run, count)| {
            let (rate, ratio) = (run.rate(), run.rate() / bare.rate());
            format!("{count} replicas {rate:.0}/s ({ratio:.2}x), p99 {}", time(run.percentile(0.99)))
        })
        .collect();
    row.ours[4] = others.join("; ");
    Ok(row)
}
