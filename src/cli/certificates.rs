//! `certmint get` and `certmint csr`.

use super::connection::{Certificates, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::{Result, json, pem, text};
use crate::proto::v1::{GetCertificateRequest, GetPendingRequest};
use serde_json::json;

/// Arguments of `certmint get`.
#[derive(Clone, Debug, clap::Args)]
pub struct GetArgs {
    /// The certificate
    name: String,

    /// The version [default: the newest]
    #[arg(long, value_name = "VERSION", default_value = "", hide_default_value = true)]
    version: String,

    /// Print the certificate and its chain as PEM
    #[arg(long)]
    pem: bool,
}

/// Arguments of `certmint csr`.
#[derive(Clone, Debug, clap::Args)]
pub struct CsrArgs {
    /// The certificate
    name: String,

    /// Only if the current operation has this request_id
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
}

pub(super) async fn get(session: &Session, output: Output, args: GetArgs) -> Result<Exit> {
    let GetArgs { name, version, pem } = args;
    let request = GetCertificateRequest {
        vault_name: session.vault(),
        certificate_name: name.clone(),
        certificate_version: version,
    };
    let rpc = session.call(Repeat::Safe, request, Certificates::get_certificate);
    let certificate = rpc.await?.certificate.ok_or_else(|| Failure::incomplete_answer("certificate"))?;
    if !pem {
        output.result(|| json!({ "certificate": json::message(&certificate) }), || text::certificate(&certificate))?;
        return Ok(Exit::Done);
    }
    if certificate.cer.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("{name} has not been issued yet"))
            .advise(format!("check its progress: certmint pending show {name}"))
            .boxed());
    }
    let chain = std::iter::once(&certificate.cer).chain(&certificate.chain).map(AsRef::as_ref);
    let text = pem::certificates(chain);
    output.result(|| json!({ "pem": text }), || text.clone())?;
    Ok(Exit::Done)
}

pub(super) async fn csr(session: &Session, output: Output, args: CsrArgs) -> Result<Exit> {
    let CsrArgs { name, request_id } = args;
    let request = GetPendingRequest { vault_name: session.vault(), certificate_name: name, request_id };
    let rpc = session.call(Repeat::Safe, request, Certificates::get_pending);
    let operation = rpc.await?.operation.ok_or_else(|| Failure::incomplete_answer("operation"))?;
    if operation.csr.is_empty() {
        return Err(Failure::incomplete_answer("signing request"));
    }
    let text = pem::block(pem::REQUEST, &operation.csr);
    output.result(
        || {
            json!({
                "certificate_name": operation.certificate_name,
                "request_id": operation.request_id,
                "csr": json::bytes(&operation.csr),
                "pem": text,
            })
        },
        || text.clone(),
    )?;
    Ok(Exit::Done)
}
