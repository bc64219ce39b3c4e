//! `certmint backup` and `certmint restore`.

use super::connection::{Certificates, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::trust::{empty, unreadable};
use super::{Result, json, text};
use crate::proto::v1::{BackupCertificateRequest, RestoreCertificateRequest};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// More than any server takes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Arguments of `certmint backup`.
#[derive(Clone, Debug, clap::Args)]
pub struct BackupArgs {
    /// The certificate
    name: String,

    /// Where to write it; an existing file is not overwritten [default: NAME.certmint-backup]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Arguments of `certmint restore`.
#[derive(Clone, Debug, clap::Args)]
pub struct RestoreArgs {
    /// The backup; `-` for standard input
    file: PathBuf,
}

pub(super) async fn backup(session: &Session, output: Output, args: BackupArgs) -> Result<Exit> {
    let BackupArgs { name, out } = args;
    let file = out.unwrap_or_else(|| PathBuf::from(format!("{name}.certmint-backup")));
    let cannot_write = |error: io::Error| Failure::usage(format!("cannot write {}: {error}", file.display()));
    // Before the call: what cannot be written need not be fetched. Its owner's alone, since it holds keys.
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(cannot_write)?;
    let request = BackupCertificateRequest { vault_name: session.vault(), certificate_name: name.clone() };
    let rpc = session.call(Repeat::Safe, request, Certificates::backup_certificate);
    let written = match rpc.await {
        Ok(answer) => target.write_all(&answer.value).and_then(|()| target.sync_all()).map_err(cannot_write),
        Err(failure) => Err(failure),
    };
    if let Err(failure) = written {
        // What is left is no backup; that it cannot be removed is the lesser trouble.
        let _ = fs::remove_file(&file);
        return Err(failure);
    }
    output.result(
        || json!({ "certificate_name": name, "file": file }),
        || format!("written to {}: keep it secret, and store the server's master keys separately", file.display()),
    )?;
    Ok(Exit::Done)
}

impl RestoreArgs {
    /// Reads the backup.
    pub(super) fn prepare(self) -> Result<RestoreCertificateRequest> {
        let Self { file } = self;
        let mut value = Vec::new();
        let read = if file == Path::new("-") {
            io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut value)
        } else {
            fs::File::open(&file).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut value))
        };
        match read {
            Err(error) => Err(unreadable(&file, &error)),
            Ok(0) => Err(empty(&file)),
            Ok(_) if value.len() as u64 > MAX_BYTES => {
                Err(Failure::usage(format!("{} is larger than 64 MiB: it is not a backup", file.display())))
            }
            Ok(_) => Ok(RestoreCertificateRequest { vault_name: String::new(), value: value.into() }),
        }
    }
}

pub(super) async fn restore(session: &Session, output: Output, mut request: RestoreCertificateRequest) -> Result<Exit> {
    request.vault_name = session.vault();
    let rpc = session.call(Repeat::Never, request, Certificates::restore_certificate);
    let certificate = rpc.await?.certificate.ok_or_else(|| Failure::incomplete_answer("certificate"))?;
    output.result(|| json!({ "certificate": json::message(&certificate) }), || text::certificate(&certificate))?;
    Ok(Exit::Done)
}
