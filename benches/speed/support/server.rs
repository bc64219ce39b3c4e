//! The servers: certmint as it is shipped, and the bare one beside it, each a process of its own.

use super::{Failure, Process, binary};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};
use tempfile::TempDir;

/// Ten thousand streams of one client are more than one client may have otherwise.
const RAISED_LIMITS: &str = "[limits]\nwatch_streams_per_connection = 500\nwatch_streams_per_principal = 100000\n";

/// A server that listens on a free port of 127.0.0.1, over a folder of its own.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) port: u16,
    started: Instant,
    /// Holds `ca.pem`, among other things.
    folder: PathBuf,
    /// The folder, where it goes with the server; after the process.
    _data: Option<TempDir>,
}

impl Server {
    /// `certmint serve --dev`; `settings` is the text of a configuration file.
    pub(crate) fn certmint(folder: &Path, settings: &str) -> Result<Self, Failure> {
        let file = folder.join("settings.toml");
        fs::write(&file, settings)?;
        let mut command = Command::new(binary());
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder).arg("--config").arg(file);
        Self::start(command, folder)
    }

    /// The same over a folder that goes with it, for measurements with many streams.
    pub(crate) fn fresh() -> Result<Self, Failure> {
        Self::fresh_with("")
    }

    /// The same with further settings, which begin with a table.
    pub(crate) fn fresh_with(settings: &str) -> Result<Self, Failure> {
        let data = TempDir::new()?;
        let server = Self::certmint(data.path(), &format!("{RAISED_LIMITS}{settings}"))?;
        Ok(Self { _data: Some(data), ..server })
    }

    /// `certmint serve` for others: `token:bench` (the token is `bench`) may do what the file of grants says.
    pub(crate) fn guarded(grants: &str) -> Result<Self, Failure> {
        let data = TempDir::new()?;
        let folder = data.path();
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"bench");
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        for (name, text) in [
            ("ca.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
            ("tokens", format!("bench {hash}\n")),
            ("access.toml", grants.to_owned()),
        ] {
            fs::write(folder.join(name), text)?;
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600))?;
        }
        let place = folder.display();
        let settings = format!(
            "data_dir = \"{place}/data\"\n[admin]\nlisten = \"off\"\n[tls]\ncertificate = \"{place}/ca.pem\"\n\
             key = \"{place}/key.pem\"\n[auth]\ntokens_file = \"{place}/tokens\"\n[access]\nfile = \"access.toml\"\n\
             [shutdown]\ndelay = \"1ms\"\n"
        );
        let file = folder.join("certmint.toml");
        fs::write(&file, settings)?;
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(file);
        let server = Self::start(command, folder)?;
        Ok(Self { _data: Some(data), ..server })
    }

    /// This program as the server that answers from memory what was recorded in `folder`.
    pub(crate) fn bare(folder: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["bare", "server"]).arg(folder);
        Self::start(command, folder)
    }

    fn start(command: Command, folder: &Path) -> Result<Self, Failure> {
        let started = Instant::now();
        let mut process = Process::start(command)?;
        // All say it in their first line: "... listens on https://localhost:PORT ...".
        let line = process.line()?;
        let port = line.split("https://localhost:").nth(1).unwrap_or_default();
        let port = port.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default().parse()?;
        Ok(Self { process, port, started, folder: folder.to_owned(), _data: None })
    }

    /// Waits until it is at rest; certmint begins to make keys ahead a second after its start.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        tokio::time::sleep_until((self.started + Duration::from_millis(1200)).into()).await;
        self.process.settle().await
    }

    pub(crate) fn ca(&self) -> Result<Vec<u8>, Failure> {
        Ok(fs::read(self.folder.join("ca.pem"))?)
    }
}
