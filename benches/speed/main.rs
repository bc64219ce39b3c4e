//! What certmint costs, each figure beside the bare thing in the same run on the same machine.
//!
//! `make bench` runs everything. `docs/benchmarks.md` says what each row means. Arguments: the names of
//! measurements (none is all), and `--quick` for a run that only shows that all of it works.

mod access;
mod bare;
mod content;
mod creations;
mod fan_out;
mod footprint;
#[path = "../../tests/support/ports.rs"]
mod ports;
mod reads;
mod recorded;
mod replicas;
mod support;

use certmint::transport::listener::raise_open_file_limit;
use recorded::Recorded;
use std::process::ExitCode;
use std::time::Duration;
use support::{Failure, Report};

/// How long everything is measured.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// One run of requests; ours and the bare one take turns.
    pub(crate) run: Duration,
    pub(crate) turns: usize,
    /// One run of RSA keys: there are few in a second, and each takes another time.
    pub(crate) rsa: Duration,
    /// How many streams are opened, one count after the other.
    pub(crate) watchers: &'static [usize],
    /// Events to all of them.
    pub(crate) events: usize,
    pub(crate) starts: usize,
    /// Transitions whose arrival on another replica is looked at, for each way to hear of them.
    pub(crate) told: usize,
    /// Due records that are claimed.
    pub(crate) due: usize,
    /// Certificates in the store; `--certificates=COUNT` says another count.
    pub(crate) certificates: usize,
}

const FULL: Times = Times {
    run: Duration::from_secs(3),
    turns: 4,
    rsa: Duration::from_secs(15),
    watchers: &[1_000, 10_000],
    events: 8,
    starts: 15,
    told: 200,
    due: 100_000,
    certificates: 300_000,
};

const QUICK: Times = Times {
    run: Duration::from_millis(300),
    turns: 1,
    rsa: Duration::from_secs(1),
    watchers: &[200],
    events: 2,
    starts: 2,
    told: 20,
    due: 5_000,
    certificates: 5_000,
};

const NAMES: [&str; 9] = ["access", "rest", "grpc", "create", "ledger", "ca", "rsa", "watch", "footprint"];
const COUNT: &str = "--certificates=";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("bare") => bare::run(&arguments[1..]),
        Some("replica") if arguments.len() == 3 => replicas::run(&arguments[1], &arguments[2]),
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<(), Failure> {
    let (flags, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.starts_with("--"));
    let of_one_server = [&NAMES[..], &content::NAMES].concat();
    let known = [&of_one_server[..], &replicas::NAMES].concat();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no measurement named {unknown}; there are: {}", known.join(", ")).into());
    }
    // cargo says --bench where figures are wanted; without it (`cargo test --benches`) it is enough that it works.
    let quick = flags.iter().any(|flag| *flag == "--quick") || !flags.iter().any(|flag| *flag == "--bench");
    let mut times = if quick { QUICK } else { FULL };
    if let Some(count) = flags.iter().find_map(|flag| flag.strip_prefix(COUNT)) {
        times.certificates = count.parse().map_err(|_| format!("{COUNT} takes a number, not {count:?}"))?;
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|given| *given == name);
    // The clients of ten thousand streams, and two servers at once, hold many connections.
    raise_open_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let report = Report;
        report.begin();
        replicas::measure(wanted, times, &report).await?;
        if !of_one_server.iter().any(|name| wanted(name)) {
            return Ok(());
        }
        if wanted("access") {
            report.add(access::decisions()?);
            report.add(access::poll(times).await?);
        }
        let recorded = Recorded::new().await?;
        if wanted("rest") {
            report.add(reads::rest(&recorded, times).await?);
        }
        if wanted("grpc") {
            report.add(reads::grpc(&recorded, times).await?);
        }
        if wanted("create") {
            report.add(creations::p256(times).await?);
            report.add(creations::p256_over_grpc(times).await?);
        }
        if wanted("ledger") {
            report.add(creations::recorded(times).await?);
        }
        if wanted("ca") {
            report.add(creations::built_in_ca(times)?);
        }
        if wanted("rsa") {
            report.add(creations::rsa(times).await?);
            report.add(creations::rsa_burst(times).await?);
        }
        if wanted("watch") {
            for count in times.watchers {
                report.add(fan_out::watch(&recorded, times, *count).await?);
            }
        }
        for name in content::NAMES {
            if wanted(name) {
                content::measure(name, &recorded, times, &report).await?;
            }
        }
        if wanted("footprint") {
            report.add(footprint::start(&recorded, times).await?);
            for row in footprint::sizes().await? {
                report.add(row);
            }
        }
        Ok(())
    })
}
