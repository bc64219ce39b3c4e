//! A server, an agent with its files in a folder, and commands that are typed there.

use crate::peers::{Process, until};
use crate::ports::free_port;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_certmint");

pub(crate) struct World {
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Process>,
    agent: Option<Process>,
}

impl World {
    /// A server with a certificate `web`, and no agent yet.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self { folder, port: free_port(), server: None, agent: None };
        world.start_server().await;
        world.issue("web");
        world
    }

    /// As [`World::start`], and `config` is the agent's below its connection.
    pub(crate) async fn with_agent(config: &str) -> Self {
        let mut world = Self::start().await;
        world.configure(config);
        world.start_agent();
        world
    }

    pub(crate) async fn start_server(&mut self) {
        let place = self.file("data");
        let listen = format!("127.0.0.1:{}", self.port);
        let arguments = ["serve", "--dev", "--listen", &listen, "--data-dir", place.to_str().unwrap()];
        self.server = Some(Process::start(PROGRAM, &arguments, &[], &self.file("server.log")));
        until("the server answers", || async { self.cli(&["list"]).status.success() }).await;
    }

    /// kill -9.
    pub(crate) fn stop_server(&mut self) {
        self.server = None;
    }

    /// `FOLDER` in the text stands for the folder of the test.
    pub(crate) fn configure(&self, config: &str) {
        let config = config.replace("FOLDER", self.folder.path().to_str().unwrap());
        let head = format!("server = 'https://localhost:{}'\nca = 'data/ca.pem'\n", self.port);
        let file = self.file("agent.toml");
        std::fs::write(&file, head + &config).unwrap();
        // Whatever the umask is: one that others may write is refused.
        std::fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn start_agent(&mut self) {
        let config = self.file("agent.toml");
        let arguments = ["agent", "--config", config.to_str().unwrap()];
        let environment = [("CERTMINT_TOKEN", "dev")];
        self.agent = Some(Process::start(PROGRAM, &arguments, &environment, &self.file("agent.log")));
    }

    /// kill -9.
    pub(crate) fn stop_agent(&mut self) {
        self.agent = None;
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// A command of the client or the agent.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CERTMINT_SERVER", format!("https://localhost:{}", self.port))
            .env("CERTMINT_CA", self.file("data/ca.pem"))
            .env("CERTMINT_TOKEN", "dev")
            .output()
            .unwrap()
    }

    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn issue(&self, name: &str) {
        let san = format!("{name}.example");
        let subject = format!("CN={san}");
        let policy = ["--issuer", "Self", "--key-type", "ec", "--subject", &subject, "--san", &san];
        self.done(&[&["create", name, "--wait"], policy.as_slice()].concat());
    }

    pub(crate) fn renew(&self, name: &str) {
        self.done(&["renew", name, "--wait"]);
    }

    /// The newest version.
    pub(crate) fn newest(&self, name: &str) -> String {
        let answer: Value = serde_json::from_str(&self.done(&["get", name, "--output", "json"])).unwrap();
        answer["certificate"]["certificate_version"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn leaf(&self, name: &str) -> Vec<u8> {
        let pem = self.done(&["get", name, "--pem"]);
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    }

    /// `status.json` of the agent; null before it is written.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.read(".certmint-agent/status.json")).unwrap_or_default()
    }

    /// Waits until the agent says that the newest version is installed and all were told.
    pub(crate) async fn installed(&self, name: &str) {
        let newest = self.newest(name);
        until(&format!("{name} {newest} is installed: {} {}", self.status(), self.read("agent.log")), || async {
            let status = self.status();
            let all = status["certificates"].as_array().cloned().unwrap_or_default();
            all.iter().any(|it| it["name"] == *name && it["version"] == *newest && it["ready"] == true)
        })
        .await;
    }
}

/// All that a command printed.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The leaf of a file, if the key of the other one is its own; nothing if one of them cannot be read.
pub(crate) fn pair(chain: &Path, key: &Path) -> Option<Vec<u8>> {
    let (chain, key) = (std::fs::read(chain).ok()?, std::fs::read(key).ok()?);
    Some(pair_of(&chain, &key))
}

/// The leaf. The key has to be its own.
pub(crate) fn pair_of(chain: &[u8], key: &[u8]) -> Vec<u8> {
    let chain: Vec<CertificateDer> = CertificateDer::pem_slice_iter(chain).map(Result::unwrap).collect();
    let leaf = chain[0].to_vec();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&PrivateKeyDer::from_pem_slice(key).unwrap());
    CertifiedKey::new(chain, key.unwrap()).keys_match().expect("the key is that of the certificate");
    leaf
}
