//! `certmint revoke` and `certmint ca revoke`.

use crate::cli::connection::{Authorities, Repeat, Session};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::trust::read_certificates;
use crate::cli::{Result, json, text};
use crate::proto::v1::revoke_certificate_request::Which;
use crate::proto::v1::{
    CertificateRef, IssuedRef, RevocationReason, RevokeCertificateRequest, RevokeCertificateResponse,
};
use prost_types::Timestamp;
use serde_json::json;
use std::path::PathBuf;

/// What both commands have in common.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct WhyArgs {
    /// Why
    #[arg(long, value_enum)]
    reason: Reason,

    /// Since when the key is in other hands, such as 2026-11-30 or 2026-11-30T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::issued::time)]
    invalid_since: Option<Timestamp>,

    /// Disable the version as well; happens anyway if its key is compromised
    #[arg(long)]
    disable: bool,

    /// Leave the version enabled, although its key is compromised
    #[arg(long, conflicts_with = "disable")]
    keep_enabled: bool,
}

/// The reasons of RFC 5280, in its words and in those of the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Reason {
    /// No reason is given
    Unspecified,
    /// The key is or may be in other hands; nothing is signed for it any more
    #[value(alias = "keyCompromise")]
    KeyCompromise,
    /// Names have changed
    #[value(alias = "affiliationChanged")]
    AffiliationChanged,
    /// Another certificate takes its place
    Superseded,
    /// It is not needed any more
    #[value(alias = "cessationOfOperation")]
    CessationOfOperation,
    /// Its holder is no longer entitled to it
    #[value(alias = "privilegeWithdrawn")]
    PrivilegeWithdrawn,
}

/// Arguments of `certmint revoke`.
#[derive(Clone, Debug, clap::Args)]
pub struct RevokeArgs {
    /// The certificate
    name: String,

    /// The version [default: the newest]
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    version: String,

    #[command(flatten)]
    why: WhyArgs,
}

/// Arguments of `certmint ca revoke`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct CaRevokeArgs {
    /// The serial number, in any spelling
    #[arg(long, required_unless_present = "certificate")]
    serial: Option<String>,

    /// The issuer [default: any of the vault]
    #[arg(long, value_name = "NAME", conflicts_with = "certificate")]
    issuer: Option<String>,

    /// The certificate itself, in PEM
    #[arg(long, value_name = "FILE", conflicts_with = "serial")]
    certificate: Option<PathBuf>,

    #[command(flatten)]
    why: WhyArgs,
}

impl RevokeArgs {
    pub(in crate::cli) fn prepare(self) -> RevokeCertificateRequest {
        let Self { name, version, why } = self;
        why.request(Which::Version(CertificateRef { certificate_name: name, certificate_version: version }))
    }
}

impl CaRevokeArgs {
    pub(in crate::cli) fn prepare(self) -> Result<RevokeCertificateRequest> {
        let Self { serial, issuer, certificate, why } = self;
        let which = match (serial, certificate) {
            (Some(serial), _) => Which::Serial(IssuedRef { issuer_name: issuer.unwrap_or_default(), serial }),
            (None, Some(file)) => {
                let first = read_certificates(&file)?.into_iter().next();
                let first = first.ok_or_else(|| Failure::usage(format!("{} holds no certificate", file.display())))?;
                Which::Certificate(first.to_vec().into())
            }
            (None, None) => return Err(Failure::usage("give --serial or --certificate")),
        };
        Ok(why.request(which))
    }
}

impl WhyArgs {
    fn request(self, which: Which) -> RevokeCertificateRequest {
        let Self { reason, invalid_since, disable, keep_enabled } = self;
        let reason = match reason {
            Reason::Unspecified => RevocationReason::Unspecified,
            Reason::KeyCompromise => RevocationReason::KeyCompromise,
            Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
            Reason::Superseded => RevocationReason::Superseded,
            Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
            Reason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        };
        RevokeCertificateRequest {
            vault_name: String::new(),
            which: Some(which),
            reason: reason.into(),
            invalidity_time: invalid_since,
            disable: (disable || keep_enabled).then_some(disable),
        }
    }
}

pub(in crate::cli) async fn run(
    session: &Session,
    output: Output,
    mut request: RevokeCertificateRequest,
) -> Result<Exit> {
    request.vault_name = session.vault();
    let answer = session.call(Repeat::Safe, request, Authorities::revoke_certificate).await?;
    let RevokeCertificateResponse { certificate, same_key } = &answer;
    let certificate = certificate.as_ref().ok_or_else(|| Failure::incomplete_answer("certificate"))?;
    if !same_key.is_empty() {
        let serials: Vec<&str> = same_key.iter().map(|it| it.serial.as_str()).collect();
        output.note(&format!("other certificates of this key are in force: {}", serials.join(", ")));
    }
    output.result(
        || json!({ "certificate": json::message(certificate), "same_key": json::messages(same_key) }),
        || text::authorities::issued(certificate),
    )?;
    Ok(Exit::Done)
}
