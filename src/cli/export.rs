//! `certmint export`: a certificate with its private key.

use super::Result;
use super::connection::{Repeat, Secrets, Session};
use super::failure::{Exit, Failure};
use super::json;
use super::output::Output;
use crate::proto::v1::secret::Content;
use crate::proto::v1::{GetSecretRequest, Secret};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Arguments of `certmint export`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// The certificate
    name: String,

    /// The version [default: the newest]
    #[arg(long, value_name = "VERSION", default_value = "", hide_default_value = true)]
    version: String,

    /// As PEM, regardless of the policy
    #[arg(long)]
    pem: bool,

    /// Write to this new file, readable only by its owner [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(session: &Session, output: Output, args: ExportArgs) -> Result<Exit> {
    let ExportArgs { name, version, pem, out } = args;
    let request = GetSecretRequest {
        vault_name: session.vault(),
        secret_name: name,
        secret_version: version,
        out_content_type: if pem { "application/x-pem-file".to_owned() } else { String::new() },
    };
    let rpc = session.call(Repeat::Safe, request, Secrets::get_secret);
    let secret = rpc.await?.secret.ok_or_else(|| Failure::incomplete_answer("secret"))?;
    let bytes: &[u8] = match &secret.content {
        Some(Content::Pkcs12(bytes)) => bytes,
        Some(Content::Pem(text)) => text.as_bytes(),
        None => return Err(Failure::incomplete_answer("secret")),
    };
    if let Some(path) = out {
        // An existing file may be readable by others, and is not ours to replace.
        let mut options = OpenOptions::new();
        let written = options.write(true).create_new(true).mode(0o600).open(&path);
        written
            .and_then(|mut file| file.write_all(bytes))
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
        output.result(|| json!({ "file": path }), || format!("written to {}", path.display()))?;
        return Ok(Exit::Done);
    }
    if output.is_json() {
        output.result(|| json!({ "secret": shown(&secret) }), String::new)?;
        return Ok(Exit::Done);
    }
    if matches!(secret.content, Some(Content::Pkcs12(_))) && io::stdout().is_terminal() {
        return Err(Failure::usage("this is binary data: use --out FILE, --pem, or a pipe"));
    }
    output.raw(bytes)?;
    Ok(Exit::Done)
}

fn shown(secret: &Secret) -> serde_json::Value {
    let Secret { id, vault_name, secret_name, secret_version, content, content_type, attributes: _, tags, key_id } =
        secret;
    let (pkcs12, pem) = match content {
        Some(Content::Pkcs12(bytes)) => (Some(json::bytes(bytes)), None),
        Some(Content::Pem(text)) => (None, Some(text)),
        None => (None, None),
    };
    json!({
        "id": id,
        "vault_name": vault_name,
        "secret_name": secret_name,
        "secret_version": secret_version,
        "content_type": content_type,
        "pkcs12": pkcs12,
        "pem": pem,
        "tags": tags,
        "key_id": key_id,
    })
}
