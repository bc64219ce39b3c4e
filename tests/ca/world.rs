//! A server that publishes, and what is asked of it.

use crate::ports::free_port;
use crate::server::{ALICE, Place, Server};
use crate::tools;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) struct World {
    pub(crate) place: Place,
    server: Option<Server>,
    /// A second replica, where there is one, with a configuration of its own.
    second: Option<Server>,
    /// Where its CAs publish: it stands in certificates, and is the same after a crash.
    pub(crate) base_url: String,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// `extra` stands in the table `[publish]`.
    pub(crate) fn with(extra: &str) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let base_url = format!("http://{listen}");
        let place = Place::new(&format!("[publish]\nlisten = '{listen}'\nbase_url = '{base_url}'\n{extra}"));
        let server = Some(place.start());
        Self { place, server, second: None, base_url }
    }

    /// Two replicas on one database. What both publish is under the address of the first.
    pub(crate) fn on_postgres(url: &str) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let base_url = format!("http://{listen}");
        let store = format!("[store]\nurl = '{url}'\n[limits]\nwork_lease = '3s'\n");
        let place = Place::new(&format!("{store}[publish]\nlisten = '{listen}'\nbase_url = '{base_url}'\n"));
        let text = std::fs::read_to_string(place.file("certmint.toml")).unwrap();
        let other = format!("listen = '127.0.0.1:{}'\nbase_url", free_port());
        std::fs::write(place.file("second.toml"), text.replace(&format!("listen = '{listen}'\nbase_url"), &other))
            .unwrap();
        // The first one makes what both need.
        let server = Some(place.start());
        let mut world = Self { place, server, second: None, base_url };
        world.start_second();
        world
    }

    fn start_second(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
        command.args(["serve", "--config"]).arg(self.file("second.toml"));
        self.second = Some(Server::start(command, self.file("second.log")));
    }

    /// As [`World::crash`], of the second replica.
    pub(crate) fn crash_second(&mut self) {
        self.second = None;
        self.start_second();
    }

    pub(crate) fn has_second(&self) -> bool {
        self.second.is_some()
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Kills it as a crash does, and starts it again.
    pub(crate) fn crash(&mut self) {
        // It is killed when it is dropped.
        self.server = None;
        self.server = Some(self.place.start());
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.place.file(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let file = self.file(name);
        std::fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// As [`World::command`], to the second replica where there is one.
    pub(crate) fn command_to_second(&self, arguments: &str) -> Command {
        let mut command = self.command(arguments);
        if let Some(second) = &self.second {
            command.env("CERTMINT_SERVER", format!("https://localhost:{}", second.address.port()));
        }
        command
    }

    /// The command line, not yet run.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certmint"));
        command.args(arguments.split_whitespace()).current_dir(self.place.folder.path());
        let port = self.server().address.port();
        command
            .env("CERTMINT_SERVER", format!("https://localhost:{port}"))
            .env("CERTMINT_CA", self.file("tls.crt"))
            .env("CERTMINT_TOKEN", ALICE);
        command
    }

    /// What a command prints.
    pub(crate) fn cli(&self, arguments: &str) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr).into_owned());
        assert!(status.success(), "certmint {arguments}: {err}{out}\n{}", self.server().log());
        out
    }

    pub(crate) fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.cli(&format!("{arguments} --output json"))).unwrap()
    }

    /// The exit code and what is said of it, of a command that fails.
    pub(crate) fn refused(&self, arguments: &str) -> (i32, String) {
        let Output { status, stdout: _, stderr } = self.command(arguments).output().unwrap();
        assert!(!status.success(), "certmint {arguments} is not refused");
        (status.code().unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// REST over curl: the status and the body.
    pub(crate) fn rest(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.rest_text(method, path, body);
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The same of a body that is no JSON.
    pub(crate) fn rest_text(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let port = self.server().address.port();
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("https://localhost:{port}{path}{separator}api-version=7.4");
        let mut command = Command::new("curl");
        command.args(["-sS", "-X", method, "-w", "\n%{http_code}", "--cacert"]).arg(self.file("tls.crt"));
        command.args(["-H", &format!("Authorization: Bearer {ALICE}"), "-H", "Content-Type: application/json"]);
        if !body.is_empty() {
            command.args(["-d", body]);
        }
        let text = tools::output(command.arg(url));
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// What is published under a path, once it is there.
    pub(crate) fn published(&self, path: &str) -> Vec<u8> {
        let url = format!("{}{path}", self.base_url);
        self.eventually(|| {
            let output = Command::new("curl").args(["-sSf", &url]).output().unwrap();
            output.status.success().then_some(output.stdout)
        })
    }

    /// Repeats until there is an answer.
    pub(crate) fn eventually<T>(&self, mut ask: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(180);
        loop {
            if let Some(found) = ask() {
                return found;
            }
            assert!(Instant::now() < deadline, "it never happens:\n{}", self.server().log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A leaf of the issuer: the file of its certificate, and its serial number as the log has it.
    pub(crate) fn leaf(&self, name: &str, issuer: &str, more: &str) -> (String, String) {
        let words = format!(
            "create {name} --subject CN={name}.example --san {name}.example --san localhost --issuer {issuer} --key-type ec --wait {more}"
        );
        self.cli(&words);
        let chain = self.cli(&format!("get {name} --pem"));
        let end = "-----END CERTIFICATE-----\n";
        let file = self.write(&format!("{name}.pem"), &chain[..chain.find(end).unwrap() + end.len()]);
        self.write(&format!("{name}.chain.pem"), &chain);
        let serial = tools::openssl(&format!("x509 -in {file} -noout -serial"));
        (file, serial.trim().trim_start_matches("serial=").to_lowercase())
    }

    /// The file of the root, and the identifier of the authority that signs.
    pub(crate) fn authority(&self, issuer: &str) -> (String, String) {
        let root = self.write(&format!("{issuer}.root.pem"), self.cli(&format!("ca export --issuer {issuer} --root")));
        let list = self.json(&format!("ca list --issuer {issuer}"));
        let active = list["authorities"].as_array().unwrap().iter().find(|it| it["state"] == "ACTIVE").unwrap();
        (root, active["authority"].as_str().unwrap().to_owned())
    }

    /// The revocation list of an authority with at least this number: its file in PEM, and the number.
    pub(crate) fn crl(&self, authority: &str, least: u64) -> (String, u64) {
        self.eventually(|| {
            let der = self.write("list.crl", self.published(&format!("/crl/{authority}.crl")));
            let number = tools::crl_number(&der);
            let pem = self.file("list.pem").to_str().unwrap().to_owned();
            tools::openssl(&format!("crl -inform DER -in {der} -out {pem}"));
            (number >= least).then_some((pem, number))
        })
    }
}
