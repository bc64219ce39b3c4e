//! `certmint ca create|csr|install|import|activate|retire`: the generations of a CA.

use crate::cli::connection::{Authorities, Repeat, Session};
use crate::cli::failure::{Exit, Failure};
use crate::cli::import::read_password;
use crate::cli::merge::read;
use crate::cli::output::Output;
use crate::cli::{Result, json, pem, text};
use crate::proto::v1::{
    ActivateAuthorityRequest, Authority, AuthorityParent, CreateAuthorityRequest, GetAuthorityRequestRequest,
    ImportAuthorityRequest, InstallAuthorityRequest, RetireAuthorityRequest,
};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `certmint ca create`.
#[derive(Clone, Debug, clap::Args)]
pub struct CreateArgs {
    /// The issuer, which is made if it is not there
    #[arg(long, value_name = "NAME")]
    issuer: String,

    /// Who signs its certificate [default: root; to be said where another CA signed that of the present one]
    #[arg(long, value_enum)]
    parent: Option<Parent>,

    /// The issuer of the vault whose CA signs its certificate
    #[arg(long, value_name = "NAME", conflicts_with = "parent")]
    parent_issuer: Option<String>,

    /// The subject, such as "CN=Example Root, O=Example"
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    subject: String,

    /// P-256, P-384, RSA-3072 or RSA-4096 [default: P-256]
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    key_type: String,

    /// For how many months its certificate is valid [default: 240]
    #[arg(long, value_name = "MONTHS", default_value_t = 0, hide_default_value = true)]
    validity_months: i32,
}

/// What `--parent` takes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Parent {
    /// Itself: a root, which signs leaves
    Root,
    /// A root of its own, which signs this one alone: its key is destroyed
    Intermediate,
    /// A CA that is not of this server, which gets a request
    External,
}

/// An issuer.
#[derive(Clone, Debug, clap::Args)]
pub struct IssuerArgs {
    /// The issuer
    #[arg(long, value_name = "NAME")]
    issuer: String,
}

/// Arguments of `certmint ca install`.
#[derive(Clone, Debug, clap::Args)]
pub struct InstallArgs {
    /// The issuer
    #[arg(long, value_name = "NAME")]
    issuer: String,

    /// What the other CA returned: PEM, DER or PKCS#7
    file: PathBuf,
}

/// Arguments of `certmint ca import`.
#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    /// The issuer, which is made if it is not there
    #[arg(long, value_name = "NAME")]
    issuer: String,

    /// The CA with its key: PKCS#12, or PEM
    file: PathBuf,

    /// Read the password of the file from a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// The last revocation list of the CA, PEM or DER: what is on it stays revoked
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
}

pub(in crate::cli) async fn create(session: &Session, output: Output, args: CreateArgs) -> Result<Exit> {
    let CreateArgs { issuer, parent, parent_issuer, subject, key_type, validity_months } = args;
    let parent = match (&parent_issuer, parent) {
        (Some(_), _) => AuthorityParent::Issuer,
        (None, Some(Parent::Root)) => AuthorityParent::OwnRoot,
        (None, Some(Parent::Intermediate)) => AuthorityParent::OwnIntermediate,
        (None, Some(Parent::External)) => AuthorityParent::External,
        (None, None) => AuthorityParent::Unspecified,
    };
    let request = CreateAuthorityRequest {
        vault_name: session.vault(),
        issuer_name: issuer,
        parent: parent.into(),
        subject,
        key_type,
        validity_months,
        parent_issuer: parent_issuer.unwrap_or_default(),
    };
    let answer = session.call(Repeat::Never, request, Authorities::create_authority).await?;
    shown(output, answer.authority, &answer.warnings)
}

pub(in crate::cli) async fn csr(session: &Session, output: Output, args: IssuerArgs) -> Result<Exit> {
    let request = GetAuthorityRequestRequest { vault_name: session.vault(), issuer_name: args.issuer };
    let answer = session.call(Repeat::Safe, request, Authorities::get_authority_request).await?;
    let text = pem::block(pem::REQUEST, &answer.csr);
    output.result(|| json!({ "pem": text }), || text.clone())?;
    Ok(Exit::Done)
}

pub(in crate::cli) async fn install(session: &Session, output: Output, args: InstallArgs) -> Result<Exit> {
    let InstallArgs { issuer, file } = args;
    let certificates = vec![read(&file)?.into()];
    let request = InstallAuthorityRequest { vault_name: session.vault(), issuer_name: issuer, certificates };
    let answer = session.call(Repeat::Never, request, Authorities::install_authority).await?;
    shown(output, answer.authority, &answer.warnings)
}

pub(in crate::cli) async fn import(session: &Session, output: Output, args: ImportArgs) -> Result<Exit> {
    let ImportArgs { issuer, file, password_file, crl } = args;
    let password = password_file.as_deref().map(read_password).transpose()?.unwrap_or_default();
    let request = ImportAuthorityRequest {
        vault_name: session.vault(),
        issuer_name: issuer,
        value: read(&file)?.into(),
        password,
        crl: crl.map(|file| read(&file)).transpose()?.unwrap_or_default().into(),
    };
    let answer = session.call(Repeat::Never, request, Authorities::import_authority).await?;
    shown(output, answer.authority, &answer.warnings)
}

pub(in crate::cli) async fn activate(session: &Session, output: Output, args: IssuerArgs) -> Result<Exit> {
    let request = ActivateAuthorityRequest { vault_name: session.vault(), issuer_name: args.issuer };
    let answer = session.call(Repeat::Never, request, Authorities::activate_authority).await?;
    shown(output, answer.authority, &[])
}

pub(in crate::cli) async fn retire(session: &Session, output: Output, args: IssuerArgs) -> Result<Exit> {
    let request =
        RetireAuthorityRequest { vault_name: session.vault(), issuer_name: args.issuer, authority: String::new() };
    let answer = session.call(Repeat::Never, request, Authorities::retire_authority).await?;
    shown(output, answer.authority, &[])
}

fn shown(output: Output, authority: Option<Authority>, warnings: &[String]) -> Result<Exit> {
    let authority = authority.ok_or_else(|| Failure::incomplete_answer("authority"))?;
    for warning in warnings {
        output.note(warning);
    }
    output.result(
        || json!({ "authority": json::message(&authority), "warnings": warnings }),
        || text::authorities::authority(&authority),
    )?;
    Ok(Exit::Done)
}
