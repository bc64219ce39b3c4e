//! A server process outside development mode, in a folder of its own.

use aws_lc_rs::digest::{SHA256, digest};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) const ALICE: &str = "alices-token";
pub(crate) const BOB: &str = "bobs-token";

/// A folder with configuration, certificate and tokens of `alice` and `bob`.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(extra: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.write_certificate();
        place.write_tokens(&[("alice", ALICE), ("bob", BOB)]);
        place.configure(extra);
        place
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `extra` stands in front, so that it may hold keys as well as tables.
    pub(crate) fn configure(&self, extra: &str) {
        let folder = self.folder.path().display();
        let text = format!(
            "data_dir = '{folder}/data'\nlisten = '127.0.0.1:0'\n{extra}\n\
             [admin]\nlisten = '127.0.0.1:0'\n[log]\nformat = 'json'\n\
             [tls]\ncertificate = '{folder}/tls.crt'\nkey = '{folder}/tls.key'\n"
        );
        let auth = if text.contains("[auth]") { String::new() } else { self.auth("") };
        // Tests of what callers may do say it themselves; for the others everybody is an administrator.
        let everybody = "[access]\nadministrators = ['token:alice', 'token:bob', 'token:carol']\n";
        let access = if text.contains("[access]") { "" } else { everybody };
        fs::write(self.file("certmint.toml"), text + access + &auth).unwrap();
    }

    /// The table of the tokens, for a configuration that says more in it.
    pub(crate) fn auth(&self, extra: &str) -> String {
        format!("[auth]\ntokens_file = '{}'\n{extra}\n", self.file("tokens").display())
    }

    pub(crate) fn write_certificate(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        // The key first: a look between the two finds a pair that does not fit, and keeps the old one.
        private(&self.file("tls.key"), &made.signing_key.serialize_pem());
        private(&self.file("tls.crt"), &made.cert.pem());
    }

    pub(crate) fn write_tokens(&self, tokens: &[(&str, &str)]) {
        let line = |(name, token): &(&str, &str)| format!("{name} {}\n", hash(token));
        private(&self.file("tokens"), &tokens.iter().map(line).collect::<String>());
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
        command.args(["serve", "--config"]).arg(self.file("certmint.toml"));
        command
    }

    /// Runs the server until it ends by itself: for starts that are refused.
    pub(crate) fn refused(&self) -> String {
        ended(&mut self.command())
    }

    pub(crate) fn start(&self) -> Server {
        Server::start(self.command(), self.file("log"))
    }
}

/// What a server that refuses to start says.
pub(crate) fn ended(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{text}");
    text
}

fn private(path: &Path, text: &str) {
    // Replaced atomically, as the documentation tells operators to do.
    let part = path.with_extension("new");
    fs::write(&part, text).unwrap();
    fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&part, path).unwrap();
}

pub(crate) fn hash(token: &str) -> String {
    digest(&SHA256, token.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A running server; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: PathBuf,
}

impl Server {
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let stderr = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = |from: &str, to: &str| -> SocketAddr {
            let line = lines.next().and_then(Result::ok);
            let line = line.unwrap_or_else(|| panic!("no start:\n{}", fs::read_to_string(&log).unwrap()));
            let (_, rest) = line.split_once(from).unwrap_or_else(|| panic!("{from} is not in {line}"));
            rest.split_once(to).unwrap().0.parse().unwrap()
        };
        let address = next("listens on ", " for");
        let admin = next("operators: http://", "/readyz");
        Self { child, address, admin, log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines that are whole: the last one may be in writing.
    pub(crate) fn log(&self) -> String {
        let mut log = fs::read(&self.log).unwrap();
        log.truncate(log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        String::from_utf8(log).unwrap()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The exit code, once it has ended by itself.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the server does not stop:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}
