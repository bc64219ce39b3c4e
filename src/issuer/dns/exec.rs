//! Records by a program of the operator, called as lego's `exec` provider or as certbot's manual
//! hooks are called, so that existing scripts work.

use super::{SolveError, Solver, TxtRecord};
use crate::domain::duration;
use crate::domain::text::readable;
use async_trait::async_trait;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tracing::warn;

/// How a program is called.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookForm {
    /// `PROGRAM present|cleanup FQDN VALUE`, the name with a dot at its end.
    #[default]
    Lego,
    /// `PROGRAM present|cleanup -- DOMAIN TOKEN KEY_AUTHORIZATION`.
    LegoRaw,
    /// The environment has `CERTBOT_DOMAIN` and `CERTBOT_VALIDATION`; `cleanup` is a program of
    /// its own.
    Certbot,
}

/// A program that writes and removes DNS records; the option `dns_hook` of an issuer object names it.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// How it is called: as lego calls a program (`lego`), in raw mode (`lego-raw`), or as certbot calls manual hooks
    /// (`certbot`). Default `lego`.
    #[serde(default)]
    pub form: HookForm,
    /// Its path. Required.
    pub program: PathBuf,
    /// For certbot's form: what removes a record. Default none: records stay.
    #[serde(default)]
    pub cleanup: Option<PathBuf>,
    /// All that it gets beside `PATH` and `HOME`: the server's own environment may hold secrets.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How long it may take. Default 60 s.
    #[serde(default = "a_minute", with = "duration")]
    pub timeout: Duration,
}

fn a_minute() -> Duration {
    Duration::from_secs(60)
}

pub(super) struct Exec(Hook);

impl Exec {
    pub(super) fn new(hook: Hook) -> Self {
        Self(hook)
    }

    async fn run(&self, action: &str, record: &TxtRecord) -> Result<(), SolveError> {
        let hook = &self.0;
        let program = match (hook.form, action, &hook.cleanup) {
            (HookForm::Certbot, "cleanup", None) => return Ok(()),
            (HookForm::Certbot, "cleanup", Some(cleanup)) => cleanup,
            _ => &hook.program,
        };
        let mut command = Command::new(program);
        command.env_clear();
        for name in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(&hook.environment).stdin(Stdio::null()).kill_on_drop(true);
        match hook.form {
            HookForm::Lego => command.args([action, &record.owner, &record.value]),
            HookForm::LegoRaw => command.args([action, "--", &record.domain, &record.token, &record.key_authorization]),
            HookForm::Certbot => command
                .env("CERTBOT_DOMAIN", &record.domain)
                .env("CERTBOT_IDENTIFIER", &record.domain)
                .env("CERTBOT_VALIDATION", &record.value)
                .env("CERTBOT_ALL_DOMAINS", &record.domain)
                .env("CERTBOT_REMAINING_CHALLENGES", "0"),
        };
        let shown = program.display();
        let output = match tokio::time::timeout(hook.timeout, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => {
                return Err(SolveError::Misconfigured(format!("The DNS hook {shown} cannot be started: {error}.")));
            }
            Err(_) => {
                let seconds = hook.timeout.as_secs();
                return Err(SolveError::Retry(format!("The DNS hook {shown} did not end within {seconds} s.")));
            }
        };
        if output.status.success() {
            return Ok(());
        }
        // What the program printed is for the operator, not for everyone who reads the operation.
        let last: String = String::from_utf8_lossy(&output.stderr).chars().rev().take(500).collect();
        let last = readable(&last.chars().rev().collect::<String>(), 500);
        warn!(program = %shown, action, domain = record.domain, status = %output.status, stderr = last, "a DNS hook failed");
        Err(SolveError::Retry(format!("The DNS hook {shown} failed to {action} {}: {}.", record.owner, output.status)))
    }
}

#[async_trait]
impl Solver for Exec {
    async fn present(&self, record: &TxtRecord) -> Result<(), SolveError> {
        self.run("present", record).await
    }

    async fn remove(&self, record: &TxtRecord) -> Result<(), SolveError> {
        self.run("cleanup", record).await
    }
}
