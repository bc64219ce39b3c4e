//! Backing up and restoring a certificate with many versions: time, bytes and memory, beside the reading of its rows
//! and the opening of its keys alone.

use super::material::{Kind, Material, ask, import, import_body, path};
use crate::Times;
use crate::creations::bare_with;
use crate::support::{Failure, Http, Row, Run, Server, client_tls};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const VERSIONS: usize = 500;
/// Of a quick run.
const FEW: usize = 20;

/// Runs one request at a time.
struct Alone<'a> {
    server: &'a Server,
    run: Run,
    /// The most memory beyond that of the server at rest.
    memory: u64,
}

impl<'a> Alone<'a> {
    fn new(server: &'a Server) -> Self {
        Self { server, run: Run::default(), memory: 0 }
    }

    async fn post(&mut self, http: &mut Http, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        let process = &self.server.process;
        process.forget_peak()?;
        let (before, cpu, begun) = (process.memory()?, process.cpu()?, Instant::now());
        let answer = ask(http, Method::POST, path, body).await?;
        let elapsed = begun.elapsed();
        self.run.add(Run { elapsed, cpu: process.cpu()? - cpu, latencies: vec![elapsed] });
        self.memory = self.memory.max(process.peak()?.saturating_sub(before));
        Ok(answer)
    }

    fn also(&self, bytes: usize) -> String {
        format!(
            "{:.2} MB in the answer or body; {:.1} MB of memory meanwhile",
            bytes as f64 / 1e6,
            self.memory as f64 / 1e6
        )
    }
}

pub(super) async fn both(times: Times) -> Result<Vec<Row>, Failure> {
    let quick = times.run < Duration::from_secs(1);
    let (count, rounds) = if quick { (FEW, 2) } else { (VERSIONS, 20) };
    let folder = TempDir::new()?;
    let server = Server::certmint(folder.path(), "")?;
    let mut http = Http::connect(&client_tls(&server)?, server.port).await?;
    for _ in 0..count {
        // Each with a key of its own: a backup holds the same bytes once.
        let material = Material::new(Kind::P256)?;
        import(&mut http, "many", import_body(&material.pem, "application/x-pem-file")).await?;
    }
    server.settle().await?;

    // A connection that was silent for so long is closed.
    let mut http = Http::connect(&client_tls(&server)?, server.port).await?;
    let mut backup = Alone::new(&server);
    let mut answer = Bytes::new();
    for _ in 0..rounds {
        answer = backup.post(&mut http, &path("certificates", "many/backup?"), Bytes::new()).await?;
    }
    let value: Value = serde_json::from_slice(&answer)?;
    let body = Bytes::from(json!({"value": value["value"]}).to_string());
    let mut restore = Alone::new(&server);
    for round in 0..rounds {
        // Each into a vault of its own, where the name is free.
        let mut http = Http::connect(&client_tls(&server)?, server.port).await?.of_vault(&format!("restored-{round}"));
        restore.post(&mut http, "/certificates/restore?api-version=7.4", body.clone()).await?;
    }

    let database = folder.path().join("certmint.db");
    let bare = bare_with("backup", rounds, Duration::ZERO, Some(&database))?;
    let name = "rows read, keys opened, one sealing";
    let what = format!("(m) backup of a certificate with {count} versions (P-256): REST, one caller");
    let mut first = Row::of_runs(what, &backup.run, name, &bare, "");
    first.ours[4] = backup.also(answer.len());
    let bare = bare_with("restore", rounds, Duration::ZERO, Some(&database))?;
    let name = "one opening, keys sealed, rows in one transaction";
    let what = "(m) restore of it into another vault: REST, one caller".to_owned();
    let mut second = Row::of_runs(what, &restore.run, name, &bare, "");
    second.ours[4] = restore.also(body.len());
    Ok(vec![first, second])
}
