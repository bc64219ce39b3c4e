//! `certmint agent`: keeps certificates installed on a machine. It is a client: it follows the server's stream, writes the
//! files of a new version as a whole, and tells the programs that use them. Without the server files stay as they are.

mod board;
mod command;
mod config;
mod control;
mod install;
mod kept;
mod lane;
mod material;
mod owner;
mod plan;
mod port;
mod ready;
mod server;
mod stream;
mod swap;

use crate::cli::failure::{Exit, Failure, Result};
use crate::cli::output::Output;
use crate::cli::{AgentArgs, AgentCommand, AgentRunArgs, ClientOptions};
use crate::telemetry;
use board::Board;
use config::AgentConfig;
use control::{Answer, Refresh};
use install::Installer;
use kept::KeptFile;
use lane::{Lane, Reach};
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use server::Server;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use stream::Stream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep, timeout};

/// Refreshes that wait for one certificate.
const REFRESHES: usize = 8;

/// Carries out `certmint agent` and its commands.
pub async fn run(args: AgentArgs, options: ClientOptions) -> ExitCode {
    let (output, verbose) = (Output::new(options.output), options.verbose);
    let ended = match args.command {
        Some(AgentCommand::Refresh { name, config }) => refresh(output, &config, &name, options.timeout).await,
        None => LocalSet::new().run_until(work(args.run, options)).await,
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure, verbose);
            failure.exit.into()
        }
    }
}

/// Without a limit it waits for as long as the check and the reload take.
async fn refresh(output: Output, config: &Path, name: &str, limit: Option<Duration>) -> Result<Exit> {
    let config = AgentConfig::load(config).map_err(Failure::usage)?;
    let asked = control::ask(config.state_dir(), name);
    let answered = match limit {
        Some(limit) => timeout(limit, asked).await.map_err(|_| {
            Failure::timed_out("no answer from the agent", limit)
                .advise("its check or its reload may take longer: see status.json in its folder")
                .boxed()
        })?,
        None => asked.await,
    };
    let answer = answered.map_err(|error| {
        Failure::new(Exit::Unavailable, format!("no agent answers in {}: {error}", config.state_dir().display()))
            .advise(
                "is it running, with this configuration? start it with: certmint agent --config FILE; if systemd gives it \
                 its folder, name that in the file: state_dir = \"/var/lib/certmint-agent\"",
            )
            .boxed()
    })?;
    match answer {
        Answer::Installed(version) => {
            let text = || format!("{name}: version {version} is installed");
            output.result(|| json!({ "certificate": name, "version": version }), text)?;
            Ok(Exit::Done)
        }
        Answer::Problem(problem) => Err(Failure::new(Exit::Error, format!("{name}: {problem}")).boxed()),
    }
}

/// The agent itself.
async fn work(args: AgentRunArgs, options: ClientOptions) -> Result<Exit> {
    let config = AgentConfig::load(&args.config).map_err(Failure::usage)?;
    telemetry::init(&config.log).map_err(|error| Failure::usage(error.to_string()))?;
    let once = args.once.then(|| options.timeout.unwrap_or(config.initial_sync_timeout));
    let _lock = hold(config.state_dir())?;
    let host = match &config.host {
        Some(host) => host.clone(),
        None => host_of_machine(),
    };
    let server = Rc::new(Server::new(&config, options));
    all_distinct(&config, &server)?;
    let streams = streams(&config, &server);
    let status = config.state_dir().join("status.json");
    let board = Arc::new(Board::new(&host, server.address(), status, config.certificates.len(), streams.len()));
    let lanes = lanes(&config, &server, &board, &host);
    if let Some(limit) = once {
        return at_once(lanes, &board, limit).await;
    }
    let initial = (args.require_initial_sync || config.require_initial_sync).then_some(config.initial_sync_timeout);
    let mut tasks = JoinSet::new();
    if let Some(address) = config.listen {
        let port = port::open(address, Arc::clone(&board)).await;
        let port = port.map_err(|error| Failure::usage(format!("cannot listen on {address}: {error}")))?;
        tasks.spawn(port);
    }
    let socket = control::open(config.state_dir()).map_err(|error| {
        Failure::usage(format!("cannot open {}: {error}", control::path(config.state_dir()).display()))
    })?;
    let (questions, asked) = mpsc::channel(REFRESHES);
    tasks.spawn(control::serve(socket, questions));
    let written = Arc::clone(&board);
    tasks.spawn(async move { written.keep_written().await });

    let mut reaches = Vec::new();
    for lane in lanes {
        let (news, (refreshes, refreshed)) = (Arc::new(Notify::new()), mpsc::channel(REFRESHES));
        let (vault, name) = (lane.vault.clone(), lane.installer.config().name.clone());
        reaches.push(Reach { vault, name, news: Arc::clone(&news), refreshes });
        tasks.spawn_local(lane.run(news, refreshed));
    }
    let reaches: Rc<[Reach]> = reaches.into();
    for stream in streams {
        let (server, board, reaches) = (Rc::clone(&server), Arc::clone(&board), Rc::clone(&reaches));
        tasks.spawn_local(async move {
            let vault = stream.vault().to_owned();
            stream.follow(&server, &board, |name| wake(&reaches, &vault, name)).await;
        });
    }
    tasks.spawn_local(pass_on(asked, reaches));
    tracing::info!(host, server = server.address(), certificates = config.certificates.len(), "the agent is running");
    tokio::select! {
        ended = ready_or_late(&board, initial) => Err(ended),
        // None of them ends by itself.
        _ = tasks.join_next() => Err(Failure::new(Exit::Error, "a part of the agent has ended: see its log").boxed()),
        stopped = stopped() => stopped,
    }
}

/// Wakes the certificate of a name, or all of the vault.
fn wake(reaches: &[Reach], vault: &str, name: Option<&str>) {
    for reach in reaches {
        if reach.vault == vault && name.is_none_or(|name| reach.name.eq_ignore_ascii_case(name)) {
            reach.news.notify_one();
        }
    }
}

/// Brings each refresh to its certificate.
async fn pass_on(mut asked: mpsc::Receiver<Refresh>, reaches: Rc<[Reach]>) {
    while let Some(Refresh { name, answer }) = asked.recv().await {
        let (vault, short) = name.split_once('/').map_or((None, name.as_str()), |(vault, name)| (Some(vault), name));
        let mut found = reaches.iter().filter(|reach| {
            reach.name.eq_ignore_ascii_case(short) && vault.is_none_or(|vault| reach.vault.eq_ignore_ascii_case(vault))
        });
        let problem = match (found.next(), found.next()) {
            (None, _) => "the configuration has no such certificate",
            (Some(_), Some(_)) => "several vaults have it: write VAULT/NAME",
            (Some(reach), None) => {
                // A certificate that is busy answers later, but not too many.
                let Err(refused) = reach.refreshes.try_send(answer) else { continue };
                let problem = "too many refreshes of it are waiting: try again later".to_owned();
                let _ = refused.into_inner().send(Answer::Problem(problem));
                continue;
            }
        };
        // Whoever asked may have gone.
        let _ = answer.send(Answer::Problem(problem.to_owned()));
    }
}

/// Ends where the certificates have to be installed in time and are not.
async fn ready_or_late(board: &Board, initial: Option<Duration>) -> Box<Failure> {
    let Some(limit) = initial else {
        ready::tell();
        return std::future::pending().await;
    };
    tokio::select! {
        () = board.until_ready() => {
            ready::tell();
            std::future::pending().await
        }
        () = sleep(limit) => late(board, limit),
    }
}

fn late(board: &Board, limit: Duration) -> Box<Failure> {
    let mut missing = board.missing();
    let more = missing.len().saturating_sub(10);
    missing.truncate(10);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let message = format!("not installed within {} s: {}{more}", limit.as_secs_f64(), missing.join("; "));
    Failure::new(Exit::Error, message).boxed()
}

async fn stopped() -> Result<Exit> {
    let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::Error, error.to_string()).boxed());
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the agent ends; files stay as they are");
    Ok(Exit::Done)
}

/// All certificates, beside each other.
async fn at_once(lanes: Vec<Lane>, board: &Board, limit: Duration) -> Result<Exit> {
    let deadline = Instant::now() + limit;
    let mut tasks = JoinSet::new();
    for mut lane in lanes {
        tasks.spawn_local(async move { lane.once(deadline).await });
    }
    let mut all = true;
    while let Some(ended) = tasks.join_next().await {
        all &= ended.unwrap_or(false);
    }
    board.write();
    if all { Ok(Exit::Done) } else { Err(late(board, limit)) }
}

/// One that names the vault which is that of the others anyway would share a record with one of them.
fn all_distinct(config: &AgentConfig, server: &Server) -> Result<()> {
    let mut seen = BTreeSet::new();
    for certificate in &config.certificates {
        let vault = certificate.vault.as_deref().unwrap_or(server.vault());
        if !seen.insert((vault.to_ascii_lowercase(), certificate.name.to_ascii_lowercase())) {
            let message = format!(
                "the certificate {} of the vault {vault} is there twice: give it several [[certificate.output]]",
                certificate.name
            );
            return Err(Failure::usage(message));
        }
    }
    Ok(())
}

fn lanes(config: &AgentConfig, server: &Rc<Server>, board: &Arc<Board>, host: &str) -> Vec<Lane> {
    let host: Rc<str> = host.into();
    let of = |(number, certificate): (usize, &config::CertificateConfig)| {
        let vault = certificate.vault.clone().unwrap_or_else(|| server.vault().to_owned());
        let file = KeptFile::of(config.state_dir(), &vault, &certificate.name);
        Lane {
            number,
            vault,
            installer: Installer::new(certificate.clone(), file),
            server: Rc::clone(server),
            board: Arc::clone(board),
            host: Rc::clone(&host),
            look_every: config.look_every,
            unwritten: None,
        }
    };
    config.certificates.iter().enumerate().map(of).collect()
}

/// One for the certificates of a vault; several where they are too many for one.
fn streams(config: &AgentConfig, server: &Server) -> Vec<Stream> {
    let mut vaults: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for certificate in &config.certificates {
        let vault = certificate.vault.as_deref().unwrap_or(server.vault());
        vaults.entry(vault).or_default().push(certificate.name.clone());
    }
    let of = |(vault, names): (&str, Vec<String>)| -> Vec<Stream> {
        names.chunks(stream::MOST_NAMES).map(|names| Stream::new(vault.to_owned(), names.to_vec())).collect()
    };
    vaults.into_iter().flat_map(of).collect()
}

/// Makes the folder and keeps other agents away from it.
fn hold(folder: &Path) -> Result<File> {
    let failed = |error: std::io::Error| Failure::usage(format!("cannot use {}: {error}", folder.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
    let lock = File::create(folder.join("lock")).map_err(failed)?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Failure::new(Exit::Conflict, format!("another agent works with {}", folder.display()))
            .advise("to have it install a certificate now: certmint agent refresh NAME")
            .boxed()
    })?;
    Ok(lock)
}

/// What this machine is called.
fn host_of_machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"));
    let name = name.map(|name| name.trim().to_owned()).filter(|name| config::host_name(name).is_ok());
    name.unwrap_or_else(|| "unknown".to_owned())
}
