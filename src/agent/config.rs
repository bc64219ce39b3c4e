//! The file of the agent: which certificates go where on this machine, and what is told of them.

use super::owner::Owner;
use crate::config::Mistake;
use crate::domain::duration;
use crate::guarded_file::read_guarded;
use crate::telemetry::LogOptions;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of the file, at most.
const MAX_FILE: u64 = 1024 * 1024;
/// Certificates of one agent.
const MAX_CERTIFICATES: usize = 1000;
/// Between two looks, at least.
const SHORTEST_LOOK: Duration = Duration::from_secs(1);
/// Outputs of one certificate.
const MAX_OUTPUTS: usize = 32;

/// The whole file. Paths that are not absolute are meant from the folder of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentConfig {
    /// `https://HOST:PORT`; without it `CERTMINT_SERVER` counts, as for all commands. So it is with `ca`, `vault` and the
    /// token.
    pub(super) server: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
    /// The client certificate and its key, in place of a token: read again for each connection.
    pub(super) client_cert: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
    pub(super) vault: Option<String>,
    /// What this machine is called in reports.
    pub(super) host: Option<String>,
    pub(super) state_dir: Option<PathBuf>,
    /// `/livez`, `/readyz` and `/metrics`, over plain HTTP on loopback.
    pub(super) listen: Option<SocketAddr>,
    #[serde(default)]
    pub(super) require_initial_sync: bool,
    #[serde(default = "five_minutes", with = "duration")]
    pub(super) initial_sync_timeout: Duration,
    /// Between two looks at a certificate of which the stream said nothing.
    #[serde(default = "an_hour", with = "duration")]
    pub(super) look_every: Duration,
    #[serde(default)]
    pub(super) log: LogOptions,
    #[serde(rename = "certificate", default)]
    pub(super) certificates: Vec<CertificateConfig>,
}

/// A certificate, its files, and what uses them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateConfig {
    pub(super) name: String,
    pub(super) vault: Option<String>,
    #[serde(rename = "output", default)]
    pub(super) outputs: Vec<OutputConfig>,
    /// Has to succeed with the new files in place; else the old ones come back.
    pub(super) only_if: Option<Vec<String>>,
    /// Run after the files were replaced: a program with its arguments, without a shell.
    pub(super) reload: Option<Vec<String>>,
    pub(super) signal: Option<SignalConfig>,
    /// What `only_if` and `reload` may take, each.
    #[serde(default = "half_a_minute", with = "duration")]
    pub(super) timeout: Duration,
}

/// A process that is told by a signal.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalConfig {
    pub(super) pid_file: PathBuf,
    #[serde(default = "hangup")]
    pub(super) name: String,
}

/// Files of a certificate with one owner and mode.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OutputConfig {
    /// The leaf and the chain above it.
    pub(super) fullchain: Option<PathBuf>,
    /// The leaf.
    pub(super) cert: Option<PathBuf>,
    /// What is above the leaf.
    pub(super) chain: Option<PathBuf>,
    /// The private key, PKCS #8.
    pub(super) key: Option<PathBuf>,
    /// Key, leaf and chain in one file.
    pub(super) combined: Option<PathBuf>,
    /// PKCS #12 with a password.
    pub(super) pfx: Option<PathBuf>,
    pub(super) pfx_password_file: Option<PathBuf>,
    /// A folder in which `current` is a link to a folder with all of them: they change at one moment.
    pub(super) directory: Option<PathBuf>,
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
    /// Octal digits, such as `0640`. Else 0600 for what has the key, and 0644.
    pub(super) mode: Option<String>,
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

fn an_hour() -> Duration {
    Duration::from_secs(3600)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn hangup() -> String {
    "HUP".to_owned()
}

impl AgentConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// What is wrong, and where, without the text of the file.
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        // It names programs that are run.
        let bytes = read_guarded("configuration of the agent", path, MAX_FILE).map_err(|error| error.to_string())?;
        let wrong = |what: String| format!("the configuration of the agent, {shown}, cannot be used: {what}");
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| wrong(Mistake::of(&text, &error).to_string()))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = std::path::absolute(folder).map_err(|error| wrong(error.to_string()))?;
        config.resolve(&folder);
        config.check().map_err(wrong)?;
        Ok(config)
    }

    fn resolve(&mut self, folder: &Path) {
        let absolute = |path: &mut PathBuf| *path = folder.join(&*path);
        let Self { ca, token_file, client_cert, client_key, state_dir, .. } = self;
        for path in [ca, token_file, client_cert, client_key, state_dir] {
            path.iter_mut().for_each(absolute);
        }
        for certificate in &mut self.certificates {
            certificate.signal.iter_mut().for_each(|signal| absolute(&mut signal.pid_file));
            for output in &mut certificate.outputs {
                output.paths_mut().into_iter().flatten().for_each(absolute);
            }
        }
        if self.state_dir.is_none() {
            // systemd gives several, separated by colons; one is asked for.
            let given = std::env::var_os("STATE_DIRECTORY").filter(|folder| !folder.is_empty());
            self.state_dir = Some(given.map_or_else(|| folder.join(".certmint-agent"), PathBuf::from));
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.certificates.is_empty() || self.certificates.len() > MAX_CERTIFICATES {
            return Err(format!("it needs 1 to {MAX_CERTIFICATES} [[certificate]] sections"));
        }
        if self.listen.is_some_and(|address| !address.ip().is_loopback()) {
            return Err("`listen` must be an address of this machine alone, such as 127.0.0.1:9444".to_owned());
        }
        if self.client_cert.is_some() != self.client_key.is_some() {
            return Err("`client_cert` and `client_key` belong together".to_owned());
        }
        if self.look_every < SHORTEST_LOOK {
            return Err("`look_every` is too short: use 1s or more".to_owned());
        }
        if let Some(host) = &self.host {
            host_name(host)?;
        }
        let (mut places, mut names) = (BTreeSet::new(), BTreeSet::new());
        for certificate in &self.certificates {
            let name = &certificate.name;
            let known = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let vault = certificate.vault.as_deref().unwrap_or_default();
            if !(1..=127).contains(&name.len()) || !known(name) || !known(vault) {
                return Err("the name of a [[certificate]] has 1 to 127 letters, digits and dashes".to_owned());
            }
            if !names.insert((vault.to_ascii_lowercase(), name.to_ascii_lowercase())) {
                return Err(format!("the certificate {name} is there twice: give it several [[certificate.output]]"));
            }
            certificate.check().map_err(|problem| format!("certificate {name}: {problem}"))?;
            for place in certificate.outputs.iter().flat_map(OutputConfig::places) {
                if !places.insert(place.clone()) {
                    return Err(format!("certificate {name}: {} is written twice", place.display()));
                }
            }
        }
        Ok(())
    }

    /// The folder of what the agent knows.
    pub(super) fn state_dir(&self) -> &Path {
        self.state_dir.as_deref().unwrap_or(Path::new(".certmint-agent"))
    }
}

/// What may be the name of a host in reports: as the server takes it.
pub(super) fn host_name(host: &str) -> Result<(), String> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=253).contains(&host.len()) && host.bytes().all(named) {
        return Ok(());
    }
    Err("`host` has 1 to 253 letters, digits, dots, dashes and underscores".to_owned())
}

impl CertificateConfig {
    fn check(&self) -> Result<(), String> {
        if self.outputs.is_empty() || self.outputs.len() > MAX_OUTPUTS {
            return Err(format!("it needs 1 to {MAX_OUTPUTS} [[certificate.output]] sections"));
        }
        for (what, argv) in [("only_if", &self.only_if), ("reload", &self.reload)] {
            if argv.as_ref().is_some_and(|argv| argv.first().is_none_or(String::is_empty)) {
                return Err(format!(
                    "`{what}` is a list that begins with a program: [\"systemctl\", \"reload\", \"nginx\"]"
                ));
            }
        }
        if let Some(signal) = &self.signal {
            super::command::signal_number(&signal.name)?;
        }
        self.outputs.iter().try_for_each(OutputConfig::check)
    }
}

impl OutputConfig {
    fn check(&self) -> Result<(), String> {
        if self.pfx.is_some() != self.pfx_password_file.is_some() && self.directory.is_none() {
            return Err("`pfx` and `pfx_password_file` belong together".to_owned());
        }
        if self.directory.is_some() && self.files().next().is_some() {
            return Err("`directory` has all files under their own names: name no others in that output".to_owned());
        }
        if self.places().is_empty() {
            return Err(
                "an output names at least one of fullchain, cert, chain, key, combined, pfx and directory".to_owned()
            );
        }
        self.mode().map(drop)
    }

    /// Owner and mode; looked up at every write, since accounts may be made later.
    ///
    /// # Errors
    /// Names that this machine does not know.
    pub(super) fn owner(&self) -> Result<Owner, String> {
        Owner::find(self.owner.as_deref(), self.group.as_deref())
    }

    /// What `mode` says, in numbers.
    pub(super) fn mode(&self) -> Result<Option<u32>, String> {
        let Some(text) = &self.mode else { return Ok(None) };
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && text.len() >= 3);
        mode.map(Some).ok_or_else(|| format!("`{text}` is not a mode: write octal digits, such as \"0640\""))
    }

    fn paths_mut(&mut self) -> [Option<&mut PathBuf>; 8] {
        let Self { fullchain, cert, chain, key, combined, pfx, pfx_password_file, directory, .. } = self;
        [fullchain, cert, chain, key, combined, pfx, pfx_password_file, directory].map(Option::as_mut)
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let Self { fullchain, cert, chain, key, combined, pfx, .. } = self;
        [fullchain, cert, chain, key, combined, pfx].into_iter().flatten()
    }

    /// What it writes.
    fn places(&self) -> Vec<&PathBuf> {
        self.files().chain(&self.directory).collect()
    }

    /// Whether this file of it has the private key.
    pub(super) fn has_key_at(&self, path: &Path) -> bool {
        [&self.key, &self.combined, &self.pfx].into_iter().flatten().any(|with_key| with_key == path)
    }

    /// Whether it needs the private key.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some() || self.combined.is_some() || self.pfx.is_some() || self.directory.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        std::fs::write(&file, SMALL).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        let problem = AgentConfig::load(&file).unwrap_err();
        assert!(problem.contains("is writable by others (mode 0664)"), "{problem}");
    }

    fn load(text: &str) -> Result<AgentConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        AgentConfig::load(&file)
    }

    const SMALL: &str = "server = \"https://localhost:8443\"\nca = \"ca.pem\"\n[[certificate]]\nname = \"web\"\n\
                         reload = [\"systemctl\", \"reload\", \"nginx\"]\n[[certificate.output]]\n\
                         fullchain = \"/etc/nginx/tls/web.pem\"\nkey = \"/etc/nginx/tls/web.key\"\n";

    #[test]
    fn paths_are_meant_from_the_folder_of_the_file() {
        let config = load(SMALL).unwrap();
        let output = &config.certificates[0].outputs[0];
        assert_eq!(output.fullchain.as_deref(), Some(Path::new("/etc/nginx/tls/web.pem")));
        let ca = config.ca.unwrap();
        assert!(ca.is_absolute() && ca.ends_with("ca.pem"), "{}", ca.display());
        assert_eq!(config.state_dir.unwrap().parent(), ca.parent());
        assert_eq!(config.look_every, Duration::from_secs(3600));
    }

    #[test]
    fn the_example_for_containers_loads() {
        let config = load(include_str!("../../deploy/agent/agent.toml")).unwrap();
        assert_eq!(config.state_dir(), Path::new("/var/lib/certmint/agent"));
        assert!(config.certificates[0].outputs[0].has_key());
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_place() {
        let with = |more: &str| format!("{SMALL}{more}");
        for (text, part) in [
            (String::new(), "1 to 1000 [[certificate]] sections"),
            ("[[certificate]]\nname = 'web'".to_owned(), "1 to 32 [[certificate.output]]"),
            (with("pfx = 'a.p12'"), "`pfx` and `pfx_password_file` belong together"),
            (with("directory = 'tls'"), "`directory` has all files"),
            (with("mode = '999'"), "`999` is not a mode"),
            (with("mode = '7'"), "`7` is not a mode"),
            (with("[[certificate.output]]\nkey = '/etc/nginx/tls/web.key'"), "is written twice"),
            (with("[[certificate.output]]\nmode = '600'"), "an output names at least one of"),
            (with("[[certificate]]\nname = 'WEB'\n[[certificate.output]]\nkey = 'k'"), "is there twice"),
            (with("[[certificate]]\nname = 'a/b'\n[[certificate.output]]\nkey = 'k'"), "letters, digits and dashes"),
            (with("[certificate.signal]\npid_file = 'p'\nname = 'SIGNAL'"), "is not a signal"),
            (format!("client_cert = 'c.pem'\n{SMALL}"), "`client_cert` and `client_key` belong together"),
            (format!("listen = '0.0.0.0:9444'\n{SMALL}"), "address of this machine alone"),
            (format!("look_every = '1ms'\n{SMALL}"), "`look_every` is too short"),
            (format!("host = 'a b'\n{SMALL}"), "`host` has 1 to 253"),
            (format!("tokn_file = 'x'\n{SMALL}"), "line 1, column 1, tokn_file: unknown field"),
            (SMALL.replace("[\"systemctl\", \"reload\", \"nginx\"]", "[]"), "begins with a program"),
        ] {
            let problem = load(&text).unwrap_err();
            assert!(problem.contains(part) && problem.contains("agent.toml"), "{text}: {problem}");
        }
    }
}
