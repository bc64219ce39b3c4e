//! Runs the commands of a file of master keys. Their output is a key: it goes nowhere else.

use super::error::{AppError, part};
use crate::keys::{MasterKeyLines, MasterKeys};
use crate::process_group::ProcessGroup;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

const CANNOT: &str = "the master keys cannot be used";
/// More than a key in base64 with space around it; whoever prints more does not print a key.
const MAX_OUTPUT: usize = 4096;
/// Between two attempts: doubles from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(30);
/// The server's own variables, which may hold secrets.
const OWN: &str = "CERTMINT_";

/// The keys; a command that fails is an error.
pub(super) async fn once(mut lines: MasterKeyLines, timeout: Duration) -> Result<MasterKeys, AppError> {
    while let Some((id, words)) = next(&lines) {
        attempt(&mut lines, &id, &words, timeout).await.map_err(part(CANNOT))?;
    }
    lines.keys().map_err(part(CANNOT))
}

/// The keys; a command that fails is run again until it does not. `waits` is told of what the server waits for.
pub(super) async fn wait(
    mut lines: MasterKeyLines,
    timeout: Duration,
    waits: impl Fn(String),
) -> Result<MasterKeys, AppError> {
    let mut pause = FIRST_WAIT;
    while let Some((id, words)) = next(&lines) {
        waits(format!("the command of the master key {id} has not answered yet"));
        match attempt(&mut lines, &id, &words, timeout).await {
            Ok(()) => pause = FIRST_WAIT,
            Err(problem) => {
                tracing::error!(
                    master_key = id,
                    "{problem}; the server is not ready until it succeeds, and runs it again in {} s",
                    pause.as_secs()
                );
                waits(problem);
                sleep(pause).await;
                pause = (pause * 2).min(LAST_WAIT);
            }
        }
    }
    lines.keys().map_err(part(CANNOT))
}

fn next(lines: &MasterKeyLines) -> Option<(String, Vec<String>)> {
    lines.command().map(|(id, words)| (id.to_owned(), words.to_vec()))
}

/// What went wrong, without a word of what was printed.
async fn attempt(lines: &mut MasterKeyLines, id: &str, words: &[String], timeout: Duration) -> Result<(), String> {
    let program = words.first().map_or("", String::as_str);
    let what = |problem: String| format!("the command of the master key {id} ({program}) {problem}");
    let output = run(words, timeout).await.map_err(what)?;
    lines.give(id, &output).map_err(|problem| what(format!("printed no key: {problem}")))
}

async fn run(words: &[String], timeout: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let (program, arguments) = words.split_first().ok_or("is empty")?;
    let deadline = Instant::now() + timeout;
    let late = |_| format!("did not end within {} s", timeout.as_secs_f64());
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A command that hangs is run again and again: what it started must not remain each time.
    command.kill_on_drop(true).process_group(0);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(OWN)) {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    let group = ProcessGroup::of(&child);
    let mut printed = child.stdout.take().ok_or("has no standard output")?;
    // Room for all of it, so that no copy is left behind when it grows.
    let mut output = Zeroizing::new(vec![0; MAX_OUTPUT]);
    let mut length = 0;
    loop {
        let read = timeout_at(deadline, printed.read(&mut output[length..])).await.map_err(late)?;
        match read.map_err(|error| format!("cannot be read: {error}"))? {
            0 if length == MAX_OUTPUT => return Err(format!("printed more than {MAX_OUTPUT} bytes")),
            0 => break,
            more => length += more,
        }
    }
    let status = timeout_at(deadline, child.wait()).await.map_err(late)?;
    let status = status.map_err(|error| format!("cannot be waited for: {error}"))?;
    group.has_ended();
    if !status.success() {
        return Err(format!("failed ({status}); run it by hand, as the user of the server, to see why"));
    }
    output.truncate(length);
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn lines(text: &str) -> MasterKeyLines {
        MasterKeyLines::from_text(text).unwrap()
    }

    async fn refused(text: &str, timeout: Duration) -> String {
        let error = once(lines(text), timeout).await.unwrap_err();
        std::error::Error::source(&error).map_or(String::new(), ToString::to_string)
    }

    #[tokio::test]
    async fn the_output_of_a_command_is_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n").unwrap();
        let text = format!("old {}=\nnew exec:/bin/cat {}", "A".repeat(43), file.display());
        assert_eq!(once(lines(&text), TIMEOUT).await.unwrap().newest(), "new");
    }

    #[tokio::test]
    async fn what_goes_wrong_is_said_and_nothing_that_was_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "s3cret but no key").unwrap();
        let message = refused(&format!("k exec:/bin/cat {}", file.display()), TIMEOUT).await;
        assert_eq!(message, "the command of the master key k (/bin/cat) printed no key: the key is not base64");
        let message = refused("k exec:/bin/cat /not/there", TIMEOUT).await;
        assert!(message.contains("failed (exit status: 1); run it by hand"), "{message}");
        let message = refused("k exec:/not/there", TIMEOUT).await;
        assert!(message.contains("cannot be started: No such file"), "{message}");
        let message = refused("k exec:/bin/sleep 600", Duration::from_millis(100)).await;
        assert!(message.contains("did not end within 0.1 s"), "{message}");
        let message = refused("k exec:/usr/bin/head -c 5000 /dev/zero", TIMEOUT).await;
        assert!(message.contains("printed more than 4096 bytes"), "{message}");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_run_again_and_what_is_waited_for_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let told = Mutex::new(Vec::new());
        let waits = |problem: String| {
            if problem.contains("failed") {
                // It comes up.
                std::fs::write(&file, [7; 32]).unwrap();
            }
            told.lock().unwrap().push(problem);
        };
        let keys = wait(lines(&format!("k exec:/bin/cat {}", file.display())), TIMEOUT, waits).await.unwrap();
        assert_eq!(keys.newest(), "k");
        let told = told.into_inner().unwrap();
        assert!(told.len() == 3 && told[1].contains("(/bin/cat) failed (exit status: 1)"), "{told:?}");
    }

    #[tokio::test]
    async fn what_a_command_started_ends_where_it_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let (script, pid_file) = (folder.path().join("script"), folder.path().join("pid"));
        std::fs::write(&script, format!("sleep 1000 & echo $! > '{}'; wait\n", pid_file.display())).unwrap();
        let started = async {
            loop {
                match std::fs::read_to_string(&pid_file) {
                    Ok(pid) if pid.ends_with('\n') => return pid,
                    _ => sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let text = format!("k exec:/bin/sh {}", script.display());
        let pid = tokio::select! {
            pid = started => pid,
            ended = once(lines(&text), TIMEOUT) => panic!("{ended:?}"),
        };
        for _ in 0..600 {
            // Gone, or dead and not yet collected by the first process.
            match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
                Ok(stat) if !stat.contains(") Z ") => sleep(Duration::from_millis(100)).await,
                _ => return,
            }
        }
        panic!("the program behind it goes on");
    }

    #[tokio::test]
    async fn a_command_does_not_see_the_variables_of_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "[ -n \"$PATH\" ] && ! env | grep -q ^CERTMINT_ && head -c 32 /dev/zero\n").unwrap();
        let text = format!("k exec:/bin/sh {}", script.display());
        assert_eq!(once(lines(&text), TIMEOUT).await.unwrap().newest(), "k");
    }
}
