//! How soon the server answers after it was started, what it holds when idle, how large its file is.

use crate::Times;
use crate::recorded::{Recorded, pending_path};
use crate::support::{Failure, Http, Row, Run, Server, binary, client_tls};
use bytes::Bytes;
use http::Method;
use std::fs;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;

/// Starts it, and asks one question; any answer counts.
async fn start_once(start: impl FnOnce() -> Result<Server, Failure>) -> Result<(Server, Run), Failure> {
    let begun = Instant::now();
    let server = start()?;
    let mut http = Http::connect(&client_tls(&server)?, server.port).await?;
    http.send(Method::GET, &pending_path("none"), Bytes::new()).await?;
    let elapsed = begun.elapsed();
    let run = Run { elapsed, cpu: server.process.cpu()?, latencies: vec![elapsed] };
    Ok((server, run))
}

/// Starts over a folder that has data, each time beside the bare server; the first start makes keys and tables.
pub(crate) async fn start(recorded: &Recorded, times: Times) -> Result<Row, Failure> {
    let data = TempDir::new()?;
    let (mut first, mut again, mut bare) = (Run::default(), Run::default(), Run::default());
    for _ in 0..times.starts {
        let fresh = TempDir::new()?;
        first.add(start_once(|| Server::certmint(fresh.path(), "")).await?.1);
        again.add(start_once(|| Server::certmint(data.path(), "")).await?.1);
        bare.add(start_once(|| Server::bare(recorded.folder())).await?.1);
    }
    let what = format!("(f) from start to the first answer, {} starts", times.starts);
    let mut row = Row::of_runs(what, &again, "bare server", &bare, "under 50 ms").without_rate();
    row.ours[4] = format!("over an empty folder {}", crate::support::time(first.percentile(0.5)));
    Ok(row)
}

/// Memory and files.
pub(crate) async fn sizes() -> Result<Vec<Row>, Failure> {
    let data = TempDir::new()?;
    let (server, _) = start_once(|| Server::certmint(data.path(), "")).await?;
    let begun = server.process.memory()?;
    server.settle().await?;
    let ready = server.process.memory()?;
    let memory =
        format!("{} at the first answer, {} with 16 RSA keys generated in advance", megabytes(begun), megabytes(ready));
    let release = binary();
    // Beside `release/`, where cargo puts what `make dist` builds.
    let dist = release.parent().and_then(Path::parent).map(|target| target.join("dist/certmint"));
    let size = |path: &Path| fs::metadata(path).map(|file| megabytes(file.len()));
    let dist = dist.and_then(|path| size(&path).ok()).unwrap_or_else(|| "not built (make dist)".to_owned());
    let file = format!("release {}, dist {dist}", size(&release)?);
    Ok(vec![
        Row::text("(f) resident memory when idle", memory, "under 25 MB"),
        Row::text("(f) the binary", file, "under 15 MB"),
    ])
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
