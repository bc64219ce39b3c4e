//! `certmint ca`.

mod fetch;
mod hierarchy;
mod issued;
mod list_signature;
mod revoke;

pub(super) use issued::time;
pub(super) use revoke::RevokeArgs;

use super::connection::{Authorities, Repeat, Session};
use super::failure::{Exit, Failure};
use super::options::ClientOptions;
use super::output::Output;
use super::profile::{self, ProfileCommand};
use super::trust::{CA_FILE, ca_file, read_certificates};
use super::{Result, issuer, pem};
use crate::proto::v1::{Authority, AuthorityState, ListAuthoritiesRequest};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// The commands of `certmint ca`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum CaCommand {
    /// Print the certificates of an authority as PEM: a built-in CA of the server, or the CA of its TLS certificate
    Export(ExportArgs),
    /// Fetch what a CA publishes over plain HTTP, and check it; needs no token
    Fetch(fetch::FetchArgs),
    /// Make a further CA of an issuer: it signs at once if the issuer has none
    Create(hierarchy::CreateArgs),
    /// Print the request of a CA that another CA is to sign, as PEM
    Csr(hierarchy::IssuerArgs),
    /// Take the certificate that another CA signed
    Install(hierarchy::InstallArgs),
    /// Take over a CA that another program had, with its key
    Import(hierarchy::ImportArgs),
    /// Let the next CA of an issuer sign from now on, and retire the one before
    Activate(hierarchy::IssuerArgs),
    /// Give up a CA that is requested or next
    Retire(hierarchy::IssuerArgs),
    /// List the CAs of the vault, those of deleted issuers among them
    List(issued::ListArgs),
    /// List what the CAs signed, or were to sign
    Issued(issued::IssuedArgs),
    /// Print what is known of a serial number
    Show(issued::ShowArgs),
    /// Revoke a certificate by its serial number, or the certificate itself
    Revoke(revoke::CaRevokeArgs),
    /// The rules of a built-in CA for what it signs
    #[command(subcommand)]
    Profile(ProfileCommand),
}

pub(super) async fn revoke(options: &ClientOptions, output: Output, args: RevokeArgs) -> Result<Exit> {
    revoke::run(&Session::open(options).await?, output, args.prepare()).await
}

pub(super) async fn run(options: &ClientOptions, output: Output, command: CaCommand) -> Result<Exit> {
    match command {
        CaCommand::Export(args) => export(options, output, args).await,
        CaCommand::Fetch(args) => fetch::fetch(output, args).await,
        CaCommand::Create(args) => hierarchy::create(&Session::open(options).await?, output, args).await,
        CaCommand::Csr(args) => hierarchy::csr(&Session::open(options).await?, output, args).await,
        CaCommand::Install(args) => hierarchy::install(&Session::open(options).await?, output, args).await,
        CaCommand::Import(args) => hierarchy::import(&Session::open(options).await?, output, args).await,
        CaCommand::Activate(args) => hierarchy::activate(&Session::open(options).await?, output, args).await,
        CaCommand::Retire(args) => hierarchy::retire(&Session::open(options).await?, output, args).await,
        CaCommand::List(args) => issued::list(&Session::open(options).await?, output, args).await,
        CaCommand::Issued(args) => issued::issued(&Session::open(options).await?, output, args).await,
        CaCommand::Revoke(args) => {
            let request = args.prepare()?;
            revoke::run(&Session::open(options).await?, output, request).await
        }
        CaCommand::Profile(command) => profile::run(&Session::open(options).await?, output, command).await,
        CaCommand::Show(args) => issued::show(&Session::open(options).await?, output, args).await,
    }
}

/// Arguments of `certmint ca export`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// A built-in CA of the server: issuing certificate first, root last [default: the CA of --data-dir or --ca]
    #[arg(long, value_name = "NAME", conflicts_with = "data_dir")]
    issuer: Option<String>,

    /// Only the root
    #[arg(long, requires = "issuer")]
    root: bool,

    /// All roots to trust for the issuer: that of now, the next one, and those before whose certificates are valid
    #[arg(long, requires = "issuer", conflicts_with = "root")]
    roots: bool,

    /// Which chain: up to its root, up to the root before, or what is handed out with leaves for clients that trust
    /// either
    #[arg(long, requires = "issuer", conflicts_with_all = ["root", "roots"], value_enum)]
    chain: Option<ChainWay>,

    /// The data folder of a development server
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Write to a file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What `--chain` takes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ChainWay {
    /// To its own root
    New,
    /// To the root before, which vouches for its own
    Old,
    /// What is handed out with leaves
    Cross,
}

async fn export(options: &ClientOptions, output: Output, args: ExportArgs) -> Result<Exit> {
    let ExportArgs { issuer, root, roots, chain, data_dir, out } = args;
    let text = match issuer {
        Some(name) if chain.is_some_and(|way| !matches!(way, ChainWay::New)) => {
            over_cross(options, name, matches!(chain, Some(ChainWay::Old))).await?
        }
        Some(name) if roots => roots_of_issuer(options, name).await?,
        Some(name) => of_issuer(options, name, root).await?,
        None => of_server(options, data_dir.as_deref())?,
    };
    match out {
        Some(file) => {
            fs::write(&file, &text)
                .map_err(|error| Failure::usage(format!("cannot write {}: {error}", file.display())))?;
            output.result(|| json!({ "file": file }), || format!("written to {}", file.display()))?;
        }
        None => output.result(|| json!({ "pem": text }), || text.clone())?,
    }
    Ok(Exit::Done)
}

async fn of_issuer(options: &ClientOptions, name: String, root: bool) -> Result<String> {
    let session = Session::open(options).await?;
    let issuer = issuer::fetch(&session, name).await?;
    let certificates = &issuer.ca_certificates;
    if certificates.is_empty() {
        let message = format!(
            "the issuer {} (provider {}) has no CA certificates on this server",
            issuer.issuer_name, issuer.provider
        );
        return Err(Failure::new(Exit::NotFound, message)
            .advise("only built-in CAs (provider LocalCA) have them; get those of another CA from that CA")
            .boxed());
    }
    let from = if root { certificates.len() - 1 } else { 0 };
    Ok(pem::certificates(certificates[from..].iter().map(AsRef::as_ref)))
}

/// The way over the certificate by which the root before vouches for the one of now, with or without that root.
async fn over_cross(options: &ClientOptions, name: String, with_root: bool) -> Result<String> {
    let session = Session::open(options).await?;
    let of_issuer = authorities(&session, &name).await?;
    let active = of_issuer.iter().find(|it| it.state() == AuthorityState::Active);
    let Some(active) = active.filter(|active| !active.cross.is_empty()) else {
        let message = format!("no earlier root vouches for the CA of the issuer {name}");
        return Err(Failure::new(Exit::NotFound, message).advise("use --chain new").boxed());
    };
    let below = active.chain.len().saturating_sub(1);
    let mut way: Vec<&[u8]> = active.chain[..below].iter().map(AsRef::as_ref).collect();
    way.push(&active.cross);
    if with_root {
        if let Some(root) = root_that_signed(&of_issuer, &active.cross) {
            way.push(root);
            return Ok(pem::certificates(way));
        }
        // Below another issuer it is a root of that one.
        let all = authorities(&session, "").await?;
        way.push(root_that_signed(&all, &active.cross).ok_or_else(|| Failure::incomplete_answer("authority"))?);
        return Ok(pem::certificates(way));
    }
    Ok(pem::certificates(way))
}

/// The CAs of an issuer, or of the whole vault, which needs a grant on all of its names.
async fn authorities(session: &Session, issuer: &str) -> Result<Vec<Authority>> {
    let request = ListAuthoritiesRequest { vault_name: session.vault(), issuer_name: issuer.to_owned() };
    Ok(session.call(Repeat::Safe, request, Authorities::list_authorities).await?.authorities)
}

fn root_that_signed<'a>(authorities: &'a [Authority], cross: &[u8]) -> Option<&'a [u8]> {
    let mut roots = authorities.iter().filter_map(|it| it.chain.last());
    roots.find(|root| signed_by(cross, root)).map(AsRef::as_ref)
}

/// Whether a certificate names this root as its issuer: no two CAs of a vault have one name.
fn signed_by(certificate: &[u8], root: &[u8]) -> bool {
    let read = |der: &[u8]| <Certificate>::from_der(der).ok();
    let (Some(certificate), Some(root)) = (read(certificate), read(root)) else { return false };
    certificate.tbs_certificate().issuer() == root.tbs_certificate().subject()
}

async fn roots_of_issuer(options: &ClientOptions, name: String) -> Result<String> {
    let session = Session::open(options).await?;
    let mut roots = Vec::new();
    for authority in authorities(&session, &name).await? {
        let is_met = !matches!(authority.state(), AuthorityState::Gone | AuthorityState::Requested);
        if let Some(root) = authority.chain.last().cloned().filter(|root| is_met && !roots.contains(root)) {
            roots.push(root);
        }
    }
    if roots.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("the issuer {name} has no CA on this server")).boxed());
    }
    Ok(pem::certificates(roots.iter().map(AsRef::as_ref)))
}

fn of_server(options: &ClientOptions, data_dir: Option<&Path>) -> Result<String> {
    let file = data_dir.map(|folder| folder.join(CA_FILE)).or_else(|| ca_file(options)).ok_or_else(|| {
        Failure::new(Exit::Usage, "no CA file was found")
            .advise("give --data-dir DIR of a development server, --ca FILE, or --issuer NAME for a built-in CA")
            .boxed()
    })?;
    Ok(pem::certificates(read_certificates(&file)?.iter().map(AsRef::as_ref)))
}
