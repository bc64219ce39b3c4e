//! Due work of a long interruption: how fast one and three replicas take it, and whether a claim costs more the more
//! there is.

use super::database::{Database, Until, connect};
use super::process::{CLAIM, Replica, of_all};
use super::{RECORD, body};
use crate::Times;
use crate::support::{Failure, Report, Row, Run, time};
use std::time::Duration;

/// The same, without a revision that would be a lease.
const BARE: &str = "\
-- bare_claim
UPDATE records SET revision = revision + 1, due = 4102444800000
WHERE key = ANY (ARRAY(
    SELECT key FROM records WHERE due <= 946684800000 ORDER BY due, key LIMIT 64 FOR UPDATE SKIP LOCKED
))
RETURNING key, body;
";

/// So many records, which came to be due in the order in which they were made.
async fn fill(url: &str, count: usize) -> Result<(), Failure> {
    let (client, count) = (connect(url).await, i64::try_from(count)?);
    client.batch_execute("-- clear\nTRUNCATE records").await?;
    let fill = "-- fill
        INSERT INTO records
        SELECT 'pending/default/due-' || number, 0, number, $1::bytea
        FROM generate_series(1, $2::bigint) AS number";
    client.execute(fill, &[&body(RECORD).as_bytes(), &count]).await?;
    client.batch_execute("-- settle\nVACUUM ANALYZE records").await?;
    Ok(())
}

/// By so many replicas. New ones for each run: they remember how far they were, and these records come from the past.
async fn claimed(url: &str, records: usize, replicas: usize) -> Result<Run, Failure> {
    fill(url, records).await?;
    let mut replicas = (0..replicas).map(|number| Replica::start(url, number)).collect::<Result<Vec<_>, _>>()?;
    let runs = Replica::together(&mut replicas, |_| "claim".to_owned())?;
    let claims: usize = runs.iter().map(|run| run.latencies.len()).sum();
    if claims * CLAIM < records {
        return Err(format!("{claims} claims cannot have taken {records} records").into());
    }
    Ok(of_all(runs))
}

pub(super) async fn measure(database: &Database, times: Times, report: &Report) -> Result<(), Failure> {
    let url = database.fresh().await?;
    let few = claimed(&url, times.due / 100, 1).await?;
    for count in [1, 3] {
        let ours = claimed(&url, times.due, count).await?;
        fill(&url, times.due).await?;
        let bare = database.pgbench(&url, BARE, &[], count, Until::Count(times.due.div_ceil(CLAIM)))?;
        let plural = if count == 1 { "" } else { "s" };
        let what = format!("(n) {} due records, {CLAIM} to a claim, {count} replica{plural}", times.due);
        let mut row = Row::of_runs(what, &ours, "pgbench, the same claims", &bare, "").without_cpu();
        row.ours[4] = format!("all after {}", time(ours.elapsed));
        if let Some((_, cells)) = &mut row.bare {
            cells[4] = format!("all after {}", time(bare.elapsed));
        }
        if count == 1 {
            // The runs of one are in the order of time.
            row.ours[4].push_str(&format!(
                "; {}; of {} records {}",
                growth(&ours),
                times.due / 100,
                time(few.percentile(0.5))
            ));
            if let Some((_, cells)) = &mut row.bare {
                cells[4].push_str(&format!("; {}", growth(&bare)));
            }
        }
        report.add(row);
    }
    Ok(())
}

/// Whether the last claims took longer than the first.
fn growth(run: &Run) -> String {
    let tenth = (run.latencies.len() / 10).max(1).min(run.latencies.len());
    let median = |part: &[Duration]| Run { latencies: part.to_vec(), ..Run::default() }.percentile(0.5);
    let (first, last) = (&run.latencies[..tenth], &run.latencies[run.latencies.len() - tenth..]);
    format!("p50 of the first tenth {}, of the last {}", time(median(first)), time(median(last)))
}
