//! What is run for a certificate: checks, reloads and signals. Programs are called with their arguments and without a
//! shell, in bounded time.

use super::config::SignalConfig;
use crate::process_group::ProcessGroup;
use crate::regular_file;
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

/// How much is kept of what a program printed: its end.
const MAX_SAID: usize = 500;
/// For reading what a program printed that has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// A pid file is a number.
const MAX_PID_FILE: u64 = 64;

/// Runs a program to its end.
///
/// # Errors
/// It cannot be started, did not end in time, or failed; in words, with the end of what it printed.
pub(super) async fn run(argv: &[String], limit: Duration, facts: &[(&str, &str)]) -> Result<(), String> {
    let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).envs(facts.iter().copied());
    // The token is the agent's own.
    for name in ["CERTMINT_TOKEN", "CERTMINT_TOKEN_FILE", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("{program} cannot be started: {error}"))?;
    let (group, said) = (ProcessGroup::of(&child), Said::default());
    let reading = child.stderr.take().map(|stderr| tokio::spawn(keep_end(stderr, Arc::clone(&said))));
    let status = match timeout(limit, child.wait()).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(format!("{program} cannot be waited for: {error}")),
        Err(_) => return Err(format!("{program} did not end within {} s, and was killed", limit.as_secs_f64())),
    };
    group.has_ended();
    if status.success() {
        return Ok(());
    }
    if let Some(reading) = reading {
        // What it printed is in the pipe by now, but what it left running may hold that open for ever.
        let _ = timeout(LAST_WORDS, reading).await;
    }
    let said = line(&said.lock().unwrap_or_else(PoisonError::into_inner));
    Err(if said.is_empty() { format!("{program}: {status}") } else { format!("{program}: {status}: {said}") })
}

/// The end of what a program printed, in bounded memory.
type Said = Arc<Mutex<Vec<u8>>>;

/// Reads on after the program has ended: a daemon that it started would be killed by writing to a pipe without a reader.
async fn keep_end(mut from: impl AsyncRead + Unpin, said: Said) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut kept = said.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let more = kept.len().saturating_sub(MAX_SAID);
        kept.drain(..more);
    }
}

/// Without what would change a terminal or a log line.
fn line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).collect()
}

/// The signal of a name, with or without `SIG`.
///
/// # Errors
/// A name that no reload uses.
pub(super) fn signal_number(name: &str) -> Result<Signal, String> {
    match name.strip_prefix("SIG").unwrap_or(name) {
        "HUP" => Ok(Signal::HUP),
        "USR1" => Ok(Signal::USR1),
        "USR2" => Ok(Signal::USR2),
        "INT" => Ok(Signal::INT),
        "TERM" => Ok(Signal::TERM),
        "WINCH" => Ok(Signal::WINCH),
        _ => Err(format!("`{name}` is not a signal for a reload: use HUP, USR1, USR2, INT, TERM or WINCH")),
    }
}

/// Sends a signal to the process of a pid file.
///
/// # Errors
/// There is no such file or process: it may be about to start.
pub(super) fn send(signal: &SignalConfig) -> Result<(), String> {
    let shown = signal.pid_file.display();
    let number = signal_number(&signal.name)?;
    let (text, _) = regular_file::read(&signal.pid_file, MAX_PID_FILE)
        .map_err(|error| format!("cannot read the pid file {shown}: {error}"))?;
    // Never 0 or below, which would mean a whole group.
    let id = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()).filter(|id: &i32| *id > 0);
    let process = id.and_then(Pid::from_raw).ok_or_else(|| format!("{shown} has no process number"))?;
    kill_process(process, number).map_err(|error| format!("the process of {shown} cannot be told: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_program_says_why_it_failed_and_gets_its_facts() {
        let long = Duration::from_secs(60);
        run(&argv(&["sh", "-c", "test $FACT = 7"]), long, &[("FACT", "7")]).await.unwrap();
        let failed = run(&argv(&["sh", "-c", "echo 'no  such\nfile' >&2; exit 3"]), long, &[]).await.unwrap_err();
        assert!(failed.ends_with("3: no such file"), "{failed}");
        let missing = run(&argv(&["/nowhere/reload"]), long, &[]).await.unwrap_err();
        assert!(missing.starts_with("/nowhere/reload cannot be started"), "{missing}");
        let much = run(&argv(&["sh", "-c", "yes | head -c 1000000 >&2; exit 1"]), long, &[]).await.unwrap_err();
        assert!(much.len() < 1000, "{}", much.len());
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_killed_with_those_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > '{}'; wait", pid_file.display());
        let said = run(&argv(&["sh", "-c", &script]), Duration::from_millis(1500), &[]).await.unwrap_err();
        assert!(said.contains("did not end within 1.5 s"), "{said}");
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        for _ in 0..600 {
            // Gone, or dead and not yet collected by the first process.
            match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
                Ok(stat) if !stat.contains(") Z ") => tokio::time::sleep(Duration::from_millis(100)).await,
                _ => return,
            }
        }
        panic!("the program behind it goes on");
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_goes_on_and_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        // It has the standard error of the program.
        let script = format!("sleep 1000 & echo $! > '{}'", pid_file.display());
        run(&argv(&["sh", "-c", &script]), Duration::from_secs(60), &[]).await.unwrap();
        let pid = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).expect("it was still running");
    }

    #[test]
    fn a_stale_pid_file_is_an_error_and_no_group_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "0", "-1", "x", "99999999999"] {
            let pid_file = folder.path().join("pid");
            std::fs::write(&pid_file, text).unwrap();
            let problem = send(&SignalConfig { pid_file, name: "SIGHUP".to_owned() }).unwrap_err();
            assert!(problem.contains("has no process number"), "{text}: {problem}");
        }
        assert!(signal_number("KILL").is_err());
    }
}
