//! `certmint list`, `versions`, `update`, `delete`, `deleted`, `recover` and `purge`.

use super::connection::{Certificates, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::{Result, json, text};
use crate::proto::v1::{
    CertificateAttributes, CertificateItem, DeleteCertificateRequest, DeletedCertificate, GetDeletedCertificateRequest,
    ListCertificateVersionsRequest, ListCertificatesRequest, ListDeletedCertificatesRequest,
    PurgeDeletedCertificateRequest, RecoverDeletedCertificateRequest, UpdateCertificateRequest,
};
use prost_types::FieldMask;
use serde_json::json;

/// Arguments of `certmint list` and `certmint deleted list`.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArgs {
    /// Also certificates without a completed version
    #[arg(long)]
    pending: bool,
}

/// Arguments of commands that take a certificate and nothing else.
#[derive(Clone, Debug, clap::Args)]
pub struct NameArgs {
    /// The certificate
    name: String,
}

/// Arguments of `certmint update`.
#[derive(Clone, Debug, clap::Args)]
pub struct UpdateArgs {
    /// The certificate
    name: String,

    /// The version [default: the newest]
    #[arg(long, value_name = "VERSION", default_value = "", hide_default_value = true)]
    version: String,

    /// Enable it
    #[arg(long, conflicts_with = "disable")]
    enable: bool,

    /// Disable it
    #[arg(long)]
    disable: bool,

    /// A tag; the given tags replace all existing ones [repeatable]
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = super::create::tag, conflicts_with = "no_tags")]
    tags: Vec<(String, String)>,

    /// Remove all tags
    #[arg(long)]
    no_tags: bool,
}

/// The commands of `certmint deleted`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum DeletedCommand {
    /// List the deleted certificates of the vault
    List(ListArgs),
    /// Print a deleted certificate
    Show(NameArgs),
}

pub(super) async fn list(session: &Session, output: Output, args: ListArgs) -> Result<Exit> {
    let request =
        ListCertificatesRequest { vault_name: session.vault(), include_pending: args.pending, ..Default::default() };
    let (certificates, _) = session.all(request, Certificates::list_certificates).await?;
    print_items(output, &certificates)
}

pub(super) async fn versions(session: &Session, output: Output, args: NameArgs) -> Result<Exit> {
    let request = ListCertificateVersionsRequest {
        vault_name: session.vault(),
        certificate_name: args.name,
        ..Default::default()
    };
    let (mut certificates, _) = session.all(request, Certificates::list_certificate_versions).await?;
    // The server's order means nothing; people look for the newest.
    let created = |item: &CertificateItem| item.attributes.and_then(|it| it.created).map(|at| (at.seconds, at.nanos));
    certificates.sort_by_key(|item| std::cmp::Reverse(created(item)));
    print_items(output, &certificates)
}

pub(super) async fn update(session: &Session, output: Output, args: UpdateArgs) -> Result<Exit> {
    let UpdateArgs { name, version, enable, disable, tags, no_tags } = args;
    let mut paths = Vec::new();
    if enable || disable {
        paths.push("attributes.enabled".to_owned());
    }
    if no_tags || !tags.is_empty() {
        paths.push("tags".to_owned());
    }
    if paths.is_empty() {
        return Err(Failure::usage("there is nothing to change: give at least one option"));
    }
    let request = UpdateCertificateRequest {
        vault_name: session.vault(),
        certificate_name: name,
        certificate_version: version,
        policy: None,
        attributes: Some(CertificateAttributes { enabled: Some(enable), ..Default::default() }),
        tags: tags.into_iter().collect(),
        update_mask: Some(FieldMask { paths }),
    };
    let rpc = session.call(Repeat::Safe, request, Certificates::update_certificate);
    let certificate = rpc.await?.certificate.ok_or_else(|| Failure::incomplete_answer("certificate"))?;
    output.result(|| json!({ "certificate": json::message(&certificate) }), || text::certificate(&certificate))?;
    Ok(Exit::Done)
}

pub(super) async fn delete(session: &Session, output: Output, args: NameArgs) -> Result<Exit> {
    let request = DeleteCertificateRequest { vault_name: session.vault(), certificate_name: args.name };
    let rpc = session.call(Repeat::Never, request, Certificates::delete_certificate);
    print_deleted(output, rpc.await?.deleted_certificate)
}

pub(super) async fn deleted(session: &Session, output: Output, command: DeletedCommand) -> Result<Exit> {
    match command {
        DeletedCommand::List(args) => list_deleted(session, output, args).await,
        DeletedCommand::Show(args) => {
            let request = GetDeletedCertificateRequest { vault_name: session.vault(), certificate_name: args.name };
            let rpc = session.call(Repeat::Safe, request, Certificates::get_deleted_certificate);
            print_deleted(output, rpc.await?.deleted_certificate)
        }
    }
}

pub(super) async fn recover(session: &Session, output: Output, args: NameArgs) -> Result<Exit> {
    let request = RecoverDeletedCertificateRequest { vault_name: session.vault(), certificate_name: args.name };
    let rpc = session.call(Repeat::Never, request, Certificates::recover_deleted_certificate);
    let certificate = rpc.await?.certificate.ok_or_else(|| Failure::incomplete_answer("certificate"))?;
    output.result(|| json!({ "certificate": json::message(&certificate) }), || text::certificate(&certificate))?;
    Ok(Exit::Done)
}

pub(super) async fn purge(session: &Session, output: Output, args: NameArgs) -> Result<Exit> {
    let NameArgs { name } = args;
    let request = PurgeDeletedCertificateRequest { vault_name: session.vault(), certificate_name: name.clone() };
    let rpc = session.call(Repeat::Never, request, Certificates::purge_deleted_certificate);
    rpc.await?;
    output.result(|| json!({ "certificate_name": name, "purged": true }), || format!("{name} is purged"))?;
    Ok(Exit::Done)
}

async fn list_deleted(session: &Session, output: Output, args: ListArgs) -> Result<Exit> {
    let request = ListDeletedCertificatesRequest {
        vault_name: session.vault(),
        include_pending: args.pending,
        ..Default::default()
    };
    let (certificates, _) = session.all(request, Certificates::list_deleted_certificates).await?;
    output.result(
        || json!({ "deleted_certificates": json::messages(&certificates) }),
        || text::manage::deleted_items(&certificates),
    )?;
    Ok(Exit::Done)
}

fn print_items(output: Output, items: &[CertificateItem]) -> Result<Exit> {
    output.result(|| json!({ "certificates": json::messages(items) }), || text::manage::items(items))?;
    Ok(Exit::Done)
}

fn print_deleted(output: Output, deleted: Option<DeletedCertificate>) -> Result<Exit> {
    let deleted = deleted.ok_or_else(|| Failure::incomplete_answer("deleted certificate"))?;
    output.result(|| json!({ "deleted_certificate": json::message(&deleted) }), || text::manage::deleted(&deleted))?;
    Ok(Exit::Done)
}
