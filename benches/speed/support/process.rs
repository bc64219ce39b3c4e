//! A process that is measured from outside: its processor time, its memory, its end.

use super::Failure;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, fs};

/// A child that is ended when it is dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// The time of each thread when it was last looked at: what a thread that has ended took stays counted.
    threads: Mutex<HashMap<OsString, u64>>,
}

impl Process {
    /// It hears [`Process::tell`]; its standard output is read by [`Process::line`], its log is dropped.
    pub(crate) fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let input = child.stdin.take().ok_or("the child has no standard input")?;
        let output = child.stdout.take().ok_or("the child has no standard output")?;
        Ok(Self { child, input, output: BufReader::new(output), threads: Mutex::default() })
    }

    /// A line for it to read.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// The next line that it writes.
    pub(crate) fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err("the process ended before it said what it had to say".into()),
            _ => Ok(line),
        }
    }

    /// All threads of it, in user and system: from the scheduler, in nanoseconds, since an event to a thousand streams
    /// takes less than the hundredth of a second that `/proc/PID/stat` counts in.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let mut threads = self.threads.lock().map_err(|_| "a look at the threads panicked")?;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let thread = thread?;
            // It may end between the two reads.
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let time = text.split_whitespace().next().unwrap_or("0").parse()?;
            threads.insert(thread.file_name(), time);
        }
        Ok(Duration::from_nanos(threads.values().sum()))
    }

    /// Resident memory in bytes, the pages of the program's file among them.
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        self.status("VmRSS:")
    }

    /// The most resident memory since [`Process::forget_peak`].
    pub(crate) fn peak(&self) -> Result<u64, Failure> {
        self.status("VmHWM:")
    }

    pub(crate) fn forget_peak(&self) -> Result<(), Failure> {
        // "5" sets the peak to what is resident now (proc(5)).
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// Bytes, of a line in kilobytes.
    fn status(&self, name: &str) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let line = line.ok_or_else(|| format!("the system tells no {name}"))?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Waits until it has nothing to do any more, such as filling its pool of ready keys.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        let until = Instant::now() + Duration::from_secs(30);
        let look = Duration::from_millis(250);
        while Instant::now() < until {
            let before = self.cpu()?;
            tokio::time::sleep(look).await;
            if self.cpu()? - before < look / 50 {
                return Ok(());
            }
        }
        Err("the server did not come to rest in 30 s".into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time of this process, threads that have ended among them: in hundredths of a second, as Linux
/// counts there on every machine.
pub(crate) fn own_cpu() -> Result<Duration, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in brackets, may hold spaces; user and system time are the 12th and 13th after it.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    Ok(Duration::from_millis(10 * fields.map(str::parse::<u64>).sum::<Result<u64, _>>()?))
}

/// The program that is measured: `CERTMINT_BINARY`, or the one that cargo built with this one.
pub(crate) fn binary() -> PathBuf {
    env::var_os("CERTMINT_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_certmint")), PathBuf::from)
}
