//! A real PostgreSQL server of our own: made in a folder that is gone afterwards, on a free port of the
//! loopback, ended by its process id. It does not outlive the tests, however these end: a small guard process
//! waits for the end of a pipe, then stops the server and removes the folder.

use crate::ports::free_port;
use rustix::process::{Pid, Signal};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The superuser of the server.
pub(crate) const USER: &str = "owner";
pub(crate) const PASSWORD: &str = "c0rrect horse/@";
/// The password as it stands in a URL.
const ENCODED: &str = "c0rrect%20horse%2F%40";

pub(crate) struct Postgres {
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    environment: Vec<(String, String)>,
    server: Option<Child>,
    guard: Child,
    databases: AtomicU32,
}

/// Stops the server and removes the folder when its standard input ends.
const GUARD: &str = r#"
while read -r _; do :; done
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
signal=INT
tries=0
while [ -n "$pid" ] && [ -e "$1/data/postmaster.pid" ] && [ "$tries" -lt 100 ]; do
    kill -"$signal" "$pid" 2>/dev/null || break
    sleep 0.1
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || signal=QUIT
done
# An initdb that was left alone may still be filling it.
while [ -e "$1" ] && [ "$tries" -lt 200 ]; do
    rm -rf "$1" 2>/dev/null && [ ! -e "$1" ] || sleep 0.1
    tries=$((tries + 1))
done
"#;

impl Postgres {
    /// A server that trades the safety of the disk for speed; a killed process loses nothing by it.
    pub(crate) fn start() -> Self {
        Self::start_with(&["fsync=off"])
    }

    /// A server with these settings (`name=value`).
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        Self::make(settings.iter().map(|&setting| setting.to_owned()).collect(), |folder| {
            let mut initdb = program("initdb");
            initdb
                .arg(format!("--pgdata={}", folder.join("data").display()))
                .arg(format!("--username={USER}"))
                .arg(format!("--pwfile={}", folder.join("password").display()))
                .args(["--encoding=UTF8", "--locale=C"])
                .args(["--auth-host=scram-sha-256", "--auth-local=trust", "--no-sync", "--no-instructions"]);
            // A default order that is not that of the bytes, as most installations have one.
            if major() >= 15 {
                initdb.args(["--locale-provider=icu", "--icu-locale=en"]);
            }
            initdb
        })
    }

    /// A copy of this server that follows it.
    pub(crate) fn standby(&self) -> Self {
        Self::make(self.settings.clone(), |folder| {
            let mut copy = program("pg_basebackup");
            copy.arg("--pgdata").arg(folder.join("data")).arg("--dbname").arg(self.url("postgres"));
            copy.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
            copy
        })
    }

    /// Makes a standby a server that takes writes.
    pub(crate) async fn promote(&self) {
        let admin = self.admin("postgres").await;
        let promoted = admin.query_one("SELECT pg_promote(true, 60)", &[]).await.unwrap();
        assert!(promoted.get::<_, bool>(0), "the standby is not promoted: {}", self.log());
    }

    fn make(settings: Vec<String>, fill: impl FnOnce(&Path) -> Command) -> Self {
        let folder = tempfile::Builder::new().prefix("certmint-pg-").tempdir().unwrap().keep();
        let guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt from the terminal is for the tests; the guard acts when they are gone.
            .process_group(0)
            .spawn()
            .unwrap();
        fs::write(folder.join("password"), PASSWORD).unwrap();
        give_away(&folder);
        give_away(&folder.join("password"));
        let made = fill(&folder).output().unwrap();
        assert!(made.status.success(), "no server is made: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self {
            folder,
            port: free_port(),
            settings,
            environment: Vec::new(),
            server: None,
            guard,
            databases: AtomicU32::new(0),
        };
        server.launch();
        server
    }

    /// The address of a database, with user and password.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{ENCODED}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// The address of a new, empty database.
    pub(crate) async fn fresh(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let admin = self.admin("postgres").await;
        // With the log as the way to copy there is no checkpoint to wait for.
        admin.batch_execute(&format!("CREATE DATABASE {name} STRATEGY wal_log")).await.unwrap();
        self.url(&name)
    }

    /// A connection of an operator.
    pub(crate) async fn admin(&self, database: &str) -> tokio_postgres::Client {
        connect(&self.url(database)).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a program of PostgreSQL against this server. Returns what it wrote.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let connection = [("PGHOST", "127.0.0.1"), ("PGPORT", &port), ("PGUSER", USER), ("PGPASSWORD", PASSWORD)];
        let done = program(name).envs(connection).args(arguments).output().unwrap();
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// The process id of the server.
    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().id()
    }

    /// An orderly end that does not wait for clients.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let pid = Pid::from_child(&server);
            rustix::process::kill_process(pid, Signal::INT).unwrap();
            server.wait().unwrap();
        }
    }

    /// The power cord.
    pub(crate) fn kill9(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Ends it where it runs, and starts it on the same folder and port.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.launch();
    }

    /// Adds settings that hold from the next start on.
    pub(crate) fn set(&mut self, settings: &[&str]) {
        self.settings.extend(settings.iter().map(|&setting| setting.to_owned()));
    }

    /// Adds to the environment, from the next start on.
    pub(crate) fn set_environment(&mut self, environment: Vec<(String, String)>) {
        self.environment.extend(environment);
    }

    fn launch(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log")).unwrap();
            let mut command = program("postgres");
            command.arg("-D").arg(self.folder.join("data")).args(["-p", &self.port.to_string()]);
            let sockets = format!("unix_socket_directories={}", self.folder.display());
            let fixed = ["listen_addresses=127.0.0.1", &sockets, "max_connections=200", "shared_buffers=32MB"];
            for setting in fixed.into_iter().chain(self.settings.iter().map(String::as_str)) {
                command.args(["-c", setting]);
            }
            command.envs(self.environment.iter().map(|(name, value)| (name, value)));
            let mut server = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
            while server.try_wait().unwrap().is_none() && Instant::now() < deadline {
                if self.is_ready(server.id()) {
                    self.server = Some(server);
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            // After a kill the children of the old one still hold its memory for a moment.
            assert!(Instant::now() < deadline, "the server does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn is_ready(&self, pid: u32) -> bool {
        let Ok(text) = fs::read_to_string(self.folder.join("data/postmaster.pid")) else { return false };
        let lines: Vec<&str> = text.lines().collect();
        lines.first() == Some(&pid.to_string().as_str())
            && lines.get(7).is_some_and(|state| matches!(state.trim(), "ready" | "standby"))
    }

    /// What the server wrote.
    pub(crate) fn log(&self) -> String {
        let mut text = String::new();
        fs::File::open(self.folder.join("log")).unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A connection of an operator to the database at `url`.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Makes a file or folder the server's own: it refuses to run as root.
pub(crate) fn give_away(path: &Path) {
    if let Some((uid, gid)) = other_user() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn other_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = user.unwrap_or("nobody:x:65534:65534").split(':').skip(2);
    Some((fields.next().unwrap().parse().unwrap(), fields.next().unwrap().parse().unwrap()))
}

/// A program of PostgreSQL, as a user that may run it: from the folder that `CERTMINT_POSTGRES`
/// names, or of the newest version of the system.
fn program(name: &str) -> Command {
    let path = match std::env::var_os("CERTMINT_POSTGRES") {
        Some(folder) => Path::new(&folder).join("bin").join(name),
        None => installed(name).expect("PostgreSQL is not installed; scripts/debian-packages.sh does it"),
    };
    let mut command = Command::new(path);
    command.current_dir("/").env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin");
    if let Some((uid, gid)) = other_user() {
        command.uid(uid).gid(gid);
    }
    command
}

fn installed(name: &str) -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin").join(name))).filter(|(_, path)| path.exists())
        })
        .collect();
    found.sort();
    Some(found.pop()?.1)
}

/// The first number of the version, of `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major() -> u32 {
    let said = program("postgres").arg("--version").output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let version = said.split(' ').nth(2).unwrap_or_else(|| panic!("no version in {said}"));
    version.split('.').next().unwrap().trim().parse().unwrap()
}

/// Not every test binary uses all of it.
const _: fn() = || {
    let _ = (Postgres::start, Postgres::start_with, Postgres::url, Postgres::fresh, Postgres::admin, Postgres::port);
    let _ = (Postgres::folder, Postgres::pid, Postgres::stop, Postgres::kill9, Postgres::restart, Postgres::set);
    let _ = (
        Postgres::standby,
        Postgres::promote,
        Postgres::log,
        Postgres::run,
        Postgres::set_environment,
        give_away,
        connect,
        PASSWORD,
    );
};
