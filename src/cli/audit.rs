//! `certmint audit`: the ledger of who did what.

use super::connection::{Audit, Repeat, Session};
use super::failure::{Exit, Failure};
use super::options::ClientOptions;
use super::output::Output;
use super::{Result, json, pem};
use crate::proto::v1::{AuditRecord, ListAuditKeysRequest, ListAuditRequest};
use prost_types::Timestamp;
use serde_json::Value;
use std::path::PathBuf;

/// The commands of `certmint audit`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Print what was done, oldest first; without --vault in all vaults
    Search(SearchArgs),
    /// Print the lines of the ledger as they are, for `certmint audit verify` and for archives
    Export(ExportArgs),
    /// Print the keys that sign checkpoints, as PEM
    Key,
    /// Verify lines in files: that nothing was changed, removed or added; exits with 1 if something was
    Verify(VerifyFileArgs),
}

/// Arguments of `certmint audit search`.
#[derive(Clone, Debug, clap::Args)]
pub struct SearchArgs {
    /// Only what this principal did, such as token:shop
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,

    /// Only this data action, or this method: secrets/getSecret/action, GetSecret
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,

    /// Only what is about the certificate or issuer of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Only what was decided so
    #[arg(long, value_enum)]
    decision: Option<Decision>,

    /// Only what was done then or later, such as 2026-11-30 or 2026-11-30T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,

    /// Only what was done before
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

/// What `--decision` takes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Decision {
    /// A grant allowed it
    Allow,
    /// No grant allows it
    Deny,
    /// It would have been denied, if denials were not only recorded
    WouldDeny,
}

/// Arguments of `certmint audit export`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// Only lines of then or later, such as 2026-11-30 or 2026-11-30T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,

    /// Only lines of before
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

/// Arguments of `certmint audit verify`.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyFileArgs {
    /// Files of lines, the oldest first; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// A file with the keys that `certmint audit key` printed; without it signatures are not verified
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// The files do not hold the beginning
    #[arg(long)]
    partial: bool,
}

/// What `certmint audit verify` is asked.
#[derive(Clone, Debug)]
pub struct VerifyArgs {
    pub files: Vec<PathBuf>,
    pub key: Option<PathBuf>,
    pub partial: bool,
    /// Answer in JSON.
    pub json: bool,
}

impl AuditCommand {
    /// What needs no server.
    pub(super) fn of_files(&self, json: bool) -> Option<VerifyArgs> {
        let Self::Verify(VerifyFileArgs { files, key, partial }) = self else { return None };
        Some(VerifyArgs { files: files.clone(), key: key.clone(), partial: *partial, json })
    }
}

fn time(text: &str) -> std::result::Result<Timestamp, String> {
    text.parse().map_err(|_| "not a date such as 2026-11-30, or a time such as 2026-11-30T12:00:00Z".to_owned())
}

pub(super) async fn run(options: &ClientOptions, output: Output, command: AuditCommand) -> Result<Exit> {
    let session = Session::open(options).await?;
    match command {
        AuditCommand::Search(args) => search(&session, output, args).await,
        AuditCommand::Export(args) => export(&session, output, args).await,
        AuditCommand::Key => key(&session, output).await,
        AuditCommand::Verify(_) => Err(Failure::usage("files are verified without a server").boxed()),
    }
}

async fn search(session: &Session, output: Output, args: SearchArgs) -> Result<Exit> {
    let SearchArgs { principal, action, name, decision, since, until } = args;
    let decision = match decision {
        None => "",
        Some(Decision::Allow) => "allow",
        Some(Decision::Deny) => "deny",
        Some(Decision::WouldDeny) => "would_deny",
    };
    let vault = session.vault();
    let request = ListAuditRequest {
        vault_name: if vault.is_empty() { "-".to_owned() } else { vault },
        principal: principal.unwrap_or_default(),
        action: action.map(full).unwrap_or_default(),
        name: name.unwrap_or_default(),
        decision: decision.to_owned(),
        since,
        until,
        ..ListAuditRequest::default()
    };
    let show = |records: Vec<AuditRecord>| {
        records.iter().try_for_each(|record| output.item(|| line_of(record), || Some(text_of(record))))
    };
    session.each(request, Audit::list_audit, show).await?;
    Ok(Exit::Done)
}

/// A data action may be written without its beginning.
fn full(action: String) -> String {
    let own = ["Microsoft.", "certmint/", "certmint.v1."].iter().any(|begin| action.starts_with(begin));
    if own || !action.contains('/') { action } else { format!("Microsoft.KeyVault/vaults/{action}") }
}

async fn export(session: &Session, output: Output, args: ExportArgs) -> Result<Exit> {
    let ExportArgs { since, until } = args;
    let request = ListAuditRequest {
        vault_name: "-".to_owned(),
        since,
        until,
        settled_only: true,
        ..ListAuditRequest::default()
    };
    let show = |records: Vec<AuditRecord>| {
        let lines: String = records.into_iter().map(|record| record.line + "\n").collect();
        output.raw(lines.as_bytes())
    };
    session.each(request, Audit::list_audit, show).await?;
    Ok(Exit::Done)
}

async fn key(session: &Session, output: Output) -> Result<Exit> {
    let keys = session.call(Repeat::Safe, ListAuditKeysRequest {}, Audit::list_audit_keys).await?.keys;
    let pem = || keys.iter().map(|key| pem::block(pem::PUBLIC_KEY, &key.public_key)).collect();
    output.result(|| serde_json::json!({ "keys": json::messages(&keys) }), pem)?;
    Ok(Exit::Done)
}

fn line_of(record: &AuditRecord) -> Value {
    serde_json::from_str(&record.line).unwrap_or_default()
}

/// `2026-11-30T22:55:00.123Z token:shop GetSecret shop/web allow 200`, and what the line says beside.
fn text_of(record: &AuditRecord) -> String {
    let AuditRecord { time, kind, principal, operation, vault_name, name, decision, outcome, peer, .. } = record;
    let time = time.as_ref().map(ToString::to_string).unwrap_or_default();
    let operation = operation.strip_prefix("certmint.v1.").unwrap_or(operation);
    let what = if operation.is_empty() { kind } else { operation };
    let place = [vault_name.as_str(), name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    let line = line_of(record);
    let detail = line["detail"].as_str().unwrap_or_default();
    let count = line["count"].as_u64().map(|count| format!("{count} times")).unwrap_or_default();
    let parts = [time.as_str(), principal, what, &place, decision, outcome, &count, detail, peer];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}
