//! `certmint import`.

use super::connection::{Certificates, Repeat, Session};
use super::failure::{Exit, Failure};
use super::issuer_input::password;
use super::output::Output;
use super::policy::ContentTypeArg;
use super::trust::unreadable;
use super::{Result, json, merge, text};
use crate::proto::v1::import_certificate_request::Bundle;
use crate::proto::v1::{
    CertificateAttributes, CertificatePolicy, ImportCertificateRequest, IssuerParameters, KeyProperties,
    SecretProperties,
};
use serde_json::json;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Arguments of `certmint import`.
#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    /// The certificate
    name: String,

    /// The certificate with its private key: PKCS#12 (PFX) or PEM; `-` for standard input
    file: PathBuf,

    /// A file with the password of the PKCS#12 or of the key; `-` for standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Make the private key non-exportable
    #[arg(long)]
    not_exportable: bool,

    /// The format in which the secret is returned [default: that of the file]
    #[arg(long, value_name = "FORM")]
    content_type: Option<ContentTypeArg>,

    /// The issuer for later renewals: an issuer of the vault, `Self`, or `Unknown` [default: Unknown]
    #[arg(long, value_name = "ISSUER", default_value = "", hide_default_value = true)]
    issuer: String,

    /// Import it disabled
    #[arg(long)]
    disabled: bool,

    /// Keep the order of the certificates after the first
    #[arg(long)]
    preserve_order: bool,

    /// A tag of the certificate [repeatable]
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = super::create::tag)]
    tags: Vec<(String, String)>,
}

impl ImportArgs {
    /// Reads the files. Their bytes go as they are: the server knows the forms.
    pub(super) fn prepare(self) -> Result<ImportCertificateRequest> {
        let Self { name, file, password_file, not_exportable, content_type, issuer, disabled, preserve_order, tags } =
            self;
        if password_file.as_deref() == Some(Path::new("-")) && file == Path::new("-") {
            return Err(Failure::usage("only one of the two files can be standard input"));
        }
        let bytes = merge::read(&file)?;
        let password = match &password_file {
            None => String::new(),
            Some(path) => read_password(path)?,
        };
        let policy = (not_exportable || content_type.is_some() || !issuer.is_empty()).then(|| CertificatePolicy {
            key_properties: not_exportable
                .then(|| KeyProperties { exportable: Some(false), ..KeyProperties::default() }),
            secret_properties: content_type.map(|form| SecretProperties { content_type: form.media_type().to_owned() }),
            issuer: (!issuer.is_empty()).then(|| IssuerParameters { name: issuer, ..IssuerParameters::default() }),
            ..CertificatePolicy::default()
        });
        Ok(ImportCertificateRequest {
            vault_name: String::new(),
            certificate_name: name,
            bundle: Some(Bundle::Pkcs12(bytes.into())),
            password,
            policy,
            attributes: disabled
                .then(|| CertificateAttributes { enabled: Some(false), ..CertificateAttributes::default() }),
            tags: tags.into_iter().collect(),
            preserve_cert_order: preserve_order.then_some(true),
        })
    }
}

pub(super) async fn run(session: &Session, output: Output, mut request: ImportCertificateRequest) -> Result<Exit> {
    request.vault_name = session.vault();
    // A second import would be a second version.
    let rpc = session.call(Repeat::Never, request, Certificates::import_certificate);
    let certificate = rpc.await?.certificate.ok_or_else(|| Failure::incomplete_answer("certificate"))?;
    output.result(|| json!({ "certificate": json::message(&certificate) }), || text::certificate(&certificate))?;
    Ok(Exit::Done)
}

/// The password in a file, or in standard input for `-`.
pub(super) fn read_password(path: &Path) -> Result<String> {
    let read = if path == Path::new("-") { password(io::stdin().lock()) } else { File::open(path).and_then(password) };
    read.map(|password| password.to_string()).map_err(|error| unreadable(path, &error))
}
