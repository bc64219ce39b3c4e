//! One server as a process of the system: started, killed, stopped and continued by its id.

use crate::ports::free_port;
use rustix::process::{Pid, Signal};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) data: PathBuf,
    config: PathBuf,
    log: PathBuf,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Server {
    /// Not yet started. Its configuration and log are files beside the data folder.
    pub(crate) fn new(name: &str, data: PathBuf, config: &str, environment: Vec<(String, String)>) -> Self {
        let beside = data.parent().unwrap().to_owned();
        let file = beside.join(format!("{name}.toml"));
        fs::write(&file, config).unwrap();
        let log = beside.join(format!("{name}.log"));
        Self { port: free_port(), data, config: file, log, environment, child: None }
    }

    /// Starts the process; whether it is ready is for the clients to find out.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        // It ends with the tests, however these end.
        let binary = std::env::var("CERTMINT_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_certmint").to_owned());
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", &binary, "serve", "--dev", "--listen"]);
        command.arg(format!("127.0.0.1:{}", self.port)).arg("--data-dir").arg(&self.data);
        command.arg("--config").arg(&self.config).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    pub(crate) fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM; answers how it ended. Fails where it takes longer than two minutes.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut child = self.child.take().unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "SIGTERM did not end the server within two minutes");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGSTOP: it exists, and does nothing.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Waits until it does nothing: what a thread asked of the system before has ended then, a flush too.
    pub(crate) async fn until_paused(&self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !self.threads_are_stopped() {
            assert!(Instant::now() < deadline, "SIGSTOP did not stop the server within two minutes");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn threads_are_stopped(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.as_ref().unwrap().id())).unwrap();
        threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat"))).all(|stat| {
            // After the name, which stands in parentheses; the next look misses a thread that has ended.
            stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
        })
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// The most memory that it had at a time, in MB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.as_ref().unwrap().id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Whether it ended by itself, and how.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().unwrap())
    }

    /// The last line of its log.
    pub(crate) fn last_words(&self) -> String {
        self.log().lines().last().unwrap_or_default().to_owned()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// Whether the tests may mount a file system.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
