//! `certmint merge`.

use super::alternative_names;
use super::connection::{Certificates, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::trust::{empty, unreadable};
use super::{Result, json, text};
use crate::proto::v1::MergeCertificateRequest;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// More than any server takes: its own limit is a setting of it, and its refusal says more.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Arguments of `certmint merge`.
#[derive(Clone, Debug, clap::Args)]
pub struct MergeArgs {
    /// The certificate
    name: String,

    /// The chain, issued certificate first: PEM, one DER certificate, PKCS#7, or PKCS#12 without a password; `-` for
    /// standard input
    chain: PathBuf,

    /// Only if the current operation has this request_id
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,

    /// A tag of the certificate [repeatable]
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = super::create::tag)]
    tags: Vec<(String, String)>,
}

impl MergeArgs {
    /// Reads the chain. Its bytes go as they are: the server knows the forms.
    pub(super) fn prepare(self) -> Result<MergeCertificateRequest> {
        let Self { name, chain, request_id, tags } = self;
        let bytes = read(&chain)?;
        Ok(MergeCertificateRequest {
            vault_name: String::new(),
            certificate_name: name,
            x509_certificates: vec![bytes.into()],
            attributes: None,
            tags: tags.into_iter().collect(),
            request_id,
        })
    }
}

pub(super) async fn run(session: &Session, output: Output, mut request: MergeCertificateRequest) -> Result<Exit> {
    request.vault_name = session.vault();
    // After a merge that had its effect a second one would be refused.
    let rpc = session.call(Repeat::Never, request, Certificates::merge_certificate);
    let certificate = rpc.await?.certificate.ok_or_else(|| Failure::incomplete_answer("certificate"))?;
    if let Some(note) = alternative_names::missing(&certificate) {
        output.note(&note);
    }
    output.result(|| json!({ "certificate": json::message(&certificate) }), || text::certificate(&certificate))?;
    Ok(Exit::Done)
}

/// A file, or standard input for `-`, as it is.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    match read {
        Err(error) => Err(unreadable(path, &error)),
        Ok(0) => Err(empty(path)),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => {
            Err(Failure::usage(format!("{} is larger than 64 MiB: that is no certificate", path.display())))
        }
        Ok(_) => Ok(bytes),
    }
}
