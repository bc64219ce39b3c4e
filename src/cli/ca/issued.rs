//! `certmint ca issued`, `certmint ca show` and `certmint ca list`: what the CAs of the server signed.

use crate::cli::connection::{Authorities, Repeat, Session};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::{Result, json, pem, text};
use crate::proto::v1::{
    GetIssuedCertificateRequest, IssuedCertificate, IssuedState, ListAuthoritiesRequest, ListIssuedCertificatesRequest,
};
use prost_types::Timestamp;
use serde_json::json;

/// Arguments of `certmint ca issued`.
#[derive(Clone, Debug, clap::Args)]
pub struct IssuedArgs {
    /// The issuer [default: all of the vault]
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,

    /// Only certificates of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Only those asked for then or later, such as 2026-11-30 or 2026-11-30T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,

    /// Only those asked for before
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,

    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<State>,
}

/// What `--state` takes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum State {
    /// Stored to be signed
    Intended,
    /// Signed, and a version of its certificate
    Issued,
    /// Its operation ended without it
    Abandoned,
    /// Revoked, whatever its state
    Revoked,
}

/// Arguments of `certmint ca show`.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// The serial number: hex digits with colons, hyphens, spaces or without, in any case; or decimal
    serial: String,

    /// The issuer [default: any of the vault]
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,

    /// Print the certificate as PEM
    #[arg(long)]
    pem: bool,
}

/// Arguments of `certmint ca list`.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArgs {
    /// The issuer [default: all of the vault]
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
}

pub(in crate::cli) fn time(text: &str) -> std::result::Result<Timestamp, String> {
    text.parse().map_err(|_| "not a date such as 2026-11-30, or a time such as 2026-11-30T12:00:00Z".to_owned())
}

pub(in crate::cli) async fn issued(session: &Session, output: Output, args: IssuedArgs) -> Result<Exit> {
    let IssuedArgs { issuer, name, since, until, state } = args;
    let at = |time: Timestamp| (time.seconds, time.nanos);
    if since.zip(until).is_some_and(|(since, until)| at(since) > at(until)) {
        return Err(Failure::usage("--since is after --until: nothing lies between them"));
    }
    let (state, revoked) = match state {
        None => (IssuedState::Unspecified, false),
        Some(State::Intended) => (IssuedState::Intended, false),
        Some(State::Issued) => (IssuedState::Issued, false),
        Some(State::Abandoned) => (IssuedState::Abandoned, false),
        Some(State::Revoked) => (IssuedState::Unspecified, true),
    };
    let request = ListIssuedCertificatesRequest {
        vault_name: session.vault(),
        issuer_name: issuer.unwrap_or_default(),
        since,
        until,
        certificate_name: name.unwrap_or_default(),
        state: state.into(),
        revoked,
        ..Default::default()
    };
    let (certificates, _) = session.all(request, Authorities::list_issued_certificates).await?;
    let summary = Summary::of(&certificates);
    output.result(
        || json!({ "certificates": json::messages(&certificates), "summary": summary }),
        || format!("{}{}\n", text::authorities::issued_list(&certificates), summary.text()),
    )?;
    Ok(Exit::Done)
}

/// How many there are: what was stored to be signed is issued, abandoned, or still in progress.
#[derive(Debug, serde::Serialize)]
struct Summary {
    asked: usize,
    issued: usize,
    abandoned: usize,
    in_progress: usize,
}

impl Summary {
    fn of(certificates: &[IssuedCertificate]) -> Self {
        let count = |state| certificates.iter().filter(|it| it.state() == state).count();
        Self {
            asked: certificates.len(),
            issued: count(IssuedState::Issued),
            abandoned: count(IssuedState::Abandoned),
            in_progress: count(IssuedState::Intended),
        }
    }

    fn text(&self) -> String {
        let Self { asked, issued, abandoned, in_progress } = self;
        format!("{asked} asked for = {issued} issued + {abandoned} abandoned + {in_progress} in progress")
    }
}

pub(in crate::cli) async fn show(session: &Session, output: Output, args: ShowArgs) -> Result<Exit> {
    let ShowArgs { serial, issuer, pem: as_pem } = args;
    let request =
        GetIssuedCertificateRequest { vault_name: session.vault(), issuer_name: issuer.unwrap_or_default(), serial };
    let answer = session.call(Repeat::Safe, request, Authorities::get_issued_certificate).await?;
    let found = answer.certificate.ok_or_else(|| Failure::incomplete_answer("certificate"))?;
    if as_pem && found.cer.is_empty() {
        let message = format!("the certificate {} was not issued: there is nothing to print", found.serial);
        return Err(Failure::new(Exit::NotFound, message).boxed());
    }
    let shown = || match as_pem {
        true => pem::block(pem::CERTIFICATE, &found.cer),
        false => text::authorities::issued(&found),
    };
    output.result(|| json!({ "certificate": json::message(&found) }), shown)?;
    Ok(Exit::Done)
}

pub(in crate::cli) async fn list(session: &Session, output: Output, args: ListArgs) -> Result<Exit> {
    let request = ListAuthoritiesRequest { vault_name: session.vault(), issuer_name: args.issuer.unwrap_or_default() };
    let found = session.call(Repeat::Safe, request, Authorities::list_authorities).await?.authorities;
    output.result(|| json!({ "authorities": json::messages(&found) }), || text::authorities::authorities(&found))?;
    Ok(Exit::Done)
}
