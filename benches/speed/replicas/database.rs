//! A PostgreSQL of our own, and `pgbench` against it.

#[path = "../../../tests/support/postgres.rs"]
mod server;

use crate::support::{Failure, Run};
use server::Postgres;
use std::fs;
use std::time::{Duration, Instant};

pub(super) use server::connect;

/// A server that is gone with this value.
pub(super) struct Database(Postgres);

/// How long `pgbench` goes on.
pub(super) enum Until {
    Time(Duration),
    /// Transactions of all clients together.
    Count(usize),
}

impl Database {
    /// A server whose commits are on the disk, with room for every client.
    pub(super) fn durable() -> Self {
        Self(Postgres::start_with(&["max_connections=400", "shared_buffers=256MB", "max_wal_size=4GB"]))
    }

    /// A server that is filled fast and read afterwards.
    pub(super) fn for_reading() -> Self {
        Self(Postgres::start_with(&[
            "fsync=off",
            "shared_buffers=1GB",
            "max_wal_size=16GB",
            // What is written into an emptied table by the transaction that emptied it is in no log.
            "wal_level=minimal",
            "max_wal_senders=0",
            "maintenance_work_mem=256MB",
        ]))
    }

    /// The address of a new database with certmint's tables.
    pub(super) async fn fresh(&self) -> Result<String, Failure> {
        let url = self.0.fresh().await;
        certmint::store::postgres::Postgres::migrate(url.parse()?, Default::default()).await?;
        Ok(url)
    }

    /// Runs a script with `clients` connections. A script has one statement, so one round trip and one transaction.
    pub(super) fn pgbench(
        &self,
        url: &str,
        script: &str,
        variables: &[(&str, &str)],
        clients: usize,
        until: Until,
    ) -> Result<Run, Failure> {
        let folder = self.0.folder().join("pgbench");
        fs::create_dir(&folder)?;
        let (file, log) = (folder.join("script.sql"), folder.join("log"));
        fs::write(&file, script)?;
        server::give_away(&file);
        server::give_away(&folder);
        let (clients, threads) = (clients.max(1), clients.clamp(1, 2));
        let mut arguments: Vec<String> = ["--no-vacuum", "--protocol=prepared", "--log"].map(str::to_owned).into();
        arguments.push(format!("--log-prefix={}", log.display()));
        arguments.push(format!("--file={}", file.display()));
        arguments.extend([format!("--client={clients}"), format!("--jobs={threads}")]);
        arguments.push(match until {
            // It counts whole seconds, and those in which it connects with them.
            Until::Time(time) => format!("--time={}", time.as_secs().max(2) + clients as u64 / 50),
            Until::Count(count) => format!("--transactions={}", count.div_ceil(clients)),
        });
        for (name, value) in variables {
            arguments.push(format!("--define={name}={value}"));
        }
        arguments.push(name_of(url).to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let begun = Instant::now();
        let text = self.0.run("pgbench", &arguments);
        let whole = begun.elapsed();
        let mut latencies = Vec::new();
        for file in fs::read_dir(&folder)? {
            let file = file?.path();
            if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log")) {
                for line in fs::read_to_string(file)?.lines() {
                    // Client, number, microseconds, and more.
                    let micros = line.split(' ').nth(2).ok_or("a line of pgbench has no third word")?;
                    latencies.push(Duration::from_micros(micros.parse()?));
                }
            }
        }
        fs::remove_dir_all(&folder)?;
        // Its own account leaves the opening of the connections out.
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|rest| rest.split(' ').next());
        let rate: f64 = rate.ok_or_else(|| format!("pgbench told no rate: {text}"))?.parse()?;
        let elapsed = Duration::from_secs_f64(latencies.len() as f64 / rate).min(whole);
        Ok(Run { elapsed, cpu: Duration::ZERO, latencies })
    }
}

fn name_of(url: &str) -> &str {
    let path = url.rsplit('/').next().unwrap_or_default();
    path.split('?').next().unwrap_or_default()
}
