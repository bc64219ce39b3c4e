//! `certmint ca`: the certificates of authorities.

use super::connection::Session;
use super::failure::{Exit, Failure};
use super::options::ClientOptions;
use super::output::Output;
use super::profile::ProfileCommand;
use super::trust::{CA_FILE, ca_file, read_certificates};
use super::{Result, issuer, pem};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// The commands of `certmint ca`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum CaCommand {
    /// Print the certificates of an authority as PEM: a built-in CA of the server, or the CA of its TLS certificate
    Export(ExportArgs),
    /// The rules of a built-in CA for what it signs
    #[command(subcommand)]
    Profile(ProfileCommand),
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

    /// The data folder of a development server
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Write to a file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn export(options: &ClientOptions, output: Output, args: ExportArgs) -> Result<Exit> {
    let ExportArgs { issuer, root, data_dir, out } = args;
    let text = match issuer {
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

fn of_server(options: &ClientOptions, data_dir: Option<&Path>) -> Result<String> {
    let file = data_dir.map(|folder| folder.join(CA_FILE)).or_else(|| ca_file(options)).ok_or_else(|| {
        Failure::new(Exit::Usage, "no CA file was found")
            .advise("give --data-dir DIR of a development server, --ca FILE, or --issuer NAME for a built-in CA")
            .boxed()
    })?;
    Ok(pem::certificates(read_certificates(&file)?.iter().map(AsRef::as_ref)))
}
