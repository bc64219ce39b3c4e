//! `certmint plugin`: for developers of plug-ins.

use super::Result;
use super::failure::{Exit, Failure};
use super::issuer_input::ValueArgs;
use super::options::ClientOptions;
use super::output::Output;
use crate::config::PluginAddress;
use crate::proto::v1::Issuer;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Of a call, where `--timeout` says nothing: what a server waits.
const CALL: Duration = Duration::from_secs(60);

/// Commands for developers of plug-ins.
#[derive(Debug, clap::Subcommand)]
pub enum PluginCommand {
    /// Try with orders of its own whether a plug-in keeps what its contract promises; it issues about ten certificates
    Test(Box<TestArgs>),
}

/// Arguments of `certmint plugin test`.
#[derive(Clone, Debug, clap::Args)]
pub struct TestArgs {
    /// Where the plug-in listens: unix:/PATH or https://HOST:PORT
    #[arg(value_name = "ADDRESS")]
    address: PluginAddress,

    /// For https, the PEM file of the CAs that the plug-in's certificate is checked against
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_ca: Option<PathBuf>,

    /// For https, the PEM file of the client's chain
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,

    /// For https, the PEM file of the client's key
    #[arg(long, value_name = "FILE", requires = "tls_ca")]
    tls_key: Option<PathBuf>,

    /// The subject of the certificates that are ordered
    #[arg(long, value_name = "NAME", default_value = "CN=plugin-test.example.com")]
    subject: String,

    /// A DNS name of the certificates that are ordered [repeatable; default: plugin-test.example.com]
    #[arg(long = "san", value_name = "NAME")]
    names: Vec<String>,

    /// How many seconds an order may take, with all its calls
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,

    /// What an issuer object of the plug-in is set with
    #[command(flatten)]
    issuer: ValueArgs,
}

/// What is to be tested.
pub struct PluginTest {
    /// Where the plug-in listens.
    pub address: PluginAddress,
    /// Files of the CAs, the chain and the key.
    pub tls: Option<(PathBuf, PathBuf, PathBuf)>,
    /// The issuer object.
    pub issuer: Issuer,
    /// What is ordered.
    pub subject: String,
    /// Its DNS names.
    pub names: Vec<String>,
    /// Of a call.
    pub timeout: Duration,
    /// Of an order.
    pub patience: Duration,
    /// How the verdicts are printed.
    pub output: ClientOptions,
}

impl PluginCommand {
    /// Reads the files that the arguments name; prints what is wrong with them.
    ///
    /// # Errors
    /// The exit code of wrong usage.
    pub fn prepare(self, options: ClientOptions) -> std::result::Result<PluginTest, ExitCode> {
        let Self::Test(args) = self;
        prepare(*args, options.clone()).map_err(|failure| {
            Output::new(options.output).failure(&failure, options.verbose);
            failure.exit.into()
        })
    }
}

fn prepare(args: TestArgs, output: ClientOptions) -> Result<PluginTest> {
    let TestArgs { address, tls_ca, tls_certificate, tls_key, subject, mut names, patience, issuer } = args;
    let tls = match (tls_ca, tls_certificate, tls_key) {
        (Some(ca), Some(certificate), Some(key)) => Some((ca, certificate, key)),
        _ => None,
    };
    if matches!(address, PluginAddress::Tls { .. }) && tls.is_none() {
        return Err(Failure::usage("an https address needs --tls-ca, --tls-certificate and --tls-key"));
    }
    if names.is_empty() {
        names.push("plugin-test.example.com".to_owned());
    }
    let timeout = output.timeout.unwrap_or(CALL);
    let patience = Duration::from_secs(patience);
    Ok(PluginTest { address, tls, issuer: issuer.into_issuer(None)?, subject, names, timeout, patience, output })
}

/// Prints the verdicts as they come, and knows the exit code.
pub struct Verdicts {
    output: Output,
    kept: usize,
    broken: usize,
    ended: Option<Exit>,
}

impl Verdicts {
    pub fn new(options: ClientOptions) -> Self {
        Self { output: Output::new(options.output), kept: 0, broken: 0, ended: None }
    }

    /// What came of a promise: what was seen, or how it was broken.
    pub fn add(&mut self, promise: &str, kept: &std::result::Result<String, String>) {
        let (word, text) = match kept {
            Ok(seen) => ("PASS", seen),
            Err(problem) => ("FAIL", problem),
        };
        if kept.is_ok() {
            self.kept += 1
        } else {
            self.broken += 1
        }
        let printed = self.output.item(
            || json!({ "promise": promise, "kept": kept.is_ok(), "detail": text }),
            || Some(format!("{word}  {promise}: {text}")),
        );
        if let Err(failure) = printed {
            self.ended.get_or_insert(failure.exit);
        }
    }

    /// The sum on standard error, and the exit code: 0 where all promises are kept.
    pub fn end(self) -> ExitCode {
        let Self { output, kept, broken, ended } = self;
        output.progress(&format!("{kept} promises kept, {broken} broken"));
        let exit = if broken > 0 { Exit::Error } else { Exit::Done };
        ended.unwrap_or(exit).into()
    }
}
