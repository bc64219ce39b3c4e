//! Very many certificates in the store: start, memory, reads and lists beside the same server with few of them, and
//! what a certificate takes on the disk.

mod fill;
mod reads;

use super::database::Database;
use crate::Times;
use crate::support::{Failure, Report, Row, Run, Server, time};
use fill::Filled;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;

/// The others are beside so many.
const FEW: usize = 1000;
/// Starts over each of the two.
const STARTS: usize = 5;

/// A name of the fleet.
fn name(number: usize) -> String {
    format!("fleet-{number:08}")
}

/// A store with so many certificates, and how a server is started over it.
struct Fleet {
    data: TempDir,
    settings: String,
    filled: Filled,
}

impl Fleet {
    async fn in_postgres(database: &Database, count: usize) -> Result<Self, Failure> {
        let url = database.fresh().await?;
        let settings = format!("[store]\nurl = '{url}'\n");
        let data = TempDir::new()?;
        let models = fill::models(&data, &settings).await?;
        let filled = fill::postgres(&url, &models, count).await?;
        Ok(Self { data, settings, filled })
    }

    async fn in_sqlite(count: usize) -> Result<Self, Failure> {
        let data = TempDir::new()?;
        let models = fill::models(&data, "").await?;
        let filled = fill::sqlite(&data.path().join("certmint.db"), &models, count)?;
        Ok(Self { data, settings: String::new(), filled })
    }

    fn folder(&self) -> &Path {
        self.data.path()
    }

    /// From the start of the process to the answer about one of the certificates.
    async fn start(&self) -> Result<(Server, Run), Failure> {
        let begun = Instant::now();
        let server = Server::certmint(self.folder(), &self.settings)?;
        reads::once(&server, self.filled.count / 2).await?;
        let elapsed = begun.elapsed();
        let run = Run { elapsed, cpu: server.process.cpu()?, latencies: vec![elapsed] };
        Ok((server, run))
    }
}

pub(super) async fn in_postgres(times: Times, report: &Report) -> Result<(), Failure> {
    let database = Database::for_reading();
    let few = Fleet::in_postgres(&database, FEW).await?;
    let many = Fleet::in_postgres(&database, times.certificates).await?;
    beside("PostgreSQL", &many, &few, times, report).await
}

pub(super) async fn in_sqlite(times: Times, report: &Report) -> Result<(), Failure> {
    let (few, many) = (Fleet::in_sqlite(FEW).await?, Fleet::in_sqlite(times.certificates).await?);
    beside("SQLite", &many, &few, times, report).await
}

async fn beside(store: &str, many: &Fleet, few: &Fleet, times: Times, report: &Report) -> Result<(), Failure> {
    let about = format!("{} certificates in {store}", many.filled.count);
    let (mut ours, mut theirs) = (Run::default(), Run::default());
    for _ in 0..STARTS {
        ours.add(many.start().await?.1);
        theirs.add(few.start().await?.1);
    }
    let what = format!("(o) {about}: from start to the first answer, {STARTS} starts");
    report.add(Row::of_runs(what, &ours, WITH_FEW, &theirs, "").without_rate());
    let ((large, _), (small, _)) = (many.start().await?, few.start().await?);
    let at_rest = (memory(&large).await?, memory(&small).await?);
    let both = ((&large, many.filled.count), (&small, few.filled.count));
    for (what, ours, theirs) in reads::measure(both.0, both.1, times).await? {
        report.add(Row::of_runs(format!("(o) {about}: {what}"), &ours, WITH_FEW, &theirs, ""));
    }
    let what = format!("(o) {about}: a watch of all until it has caught up");
    let (ours, theirs) = (reads::watch(&large).await?, reads::watch(&small).await?);
    report.add(Row::of_runs(what, &ours, WITH_FEW, &theirs, "").without_rate().without_cpu());
    let after = (memory(&large).await?, memory(&small).await?);
    let text = format!(
        "{:.1} MB at rest, {:.1} MB after these reads; {WITH_FEW} {:.1} and {:.1} MB",
        at_rest.0, after.0, at_rest.1, after.1
    );
    report.add(Row::text(&format!("(o) {about}: resident memory"), text, ""));
    report.add(Row::text(&format!("(p) on the disk, {about}"), many.filled.told(), ""));
    Ok(())
}

/// In megabytes, when it has nothing to do.
async fn memory(server: &Server) -> Result<f64, Failure> {
    server.settle().await?;
    Ok(server.process.memory()? as f64 / 1e6)
}

const WITH_FEW: &str = "with 1000 of them";

impl Filled {
    fn told(&self) -> String {
        let each = |bytes: u64| bytes as f64 / self.count as f64;
        let Self { count: _, took, bodies, tables, indexes } = self;
        let indexes = indexes.map_or_else(String::new, |bytes| format!(" and {:.0} of indexes", each(bytes)));
        format!(
            "{:.0} bytes a certificate{indexes}, for {bodies} bytes of JSON in three records; filled in {}",
            each(*tables),
            time(*took)
        )
    }
}
