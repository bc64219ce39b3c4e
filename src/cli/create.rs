//! `certmint create`.

use super::connection::{Certificates, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::policy::PolicyArgs;
use super::wait;
use super::{Result, common_name, json, merge, own_request, text};
use crate::proto::v1::{
    CertificateAttributes, CreateCertificateRequest, GetPendingRequest, PendingOperation, PendingStatus,
};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `certmint create`.
#[derive(Clone, Debug, clap::Args)]
pub struct CreateArgs {
    /// The certificate: 1 to 127 letters, digits and hyphens
    name: String,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Your own signing request: a PKCS#10 file in PEM or DER, `-` for standard input. Its key stays with you. With
    /// --wait the issued chain is printed as PEM
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,

    /// A tag of the certificate [repeatable]
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,

    /// Create it disabled
    #[arg(long)]
    disabled: bool,

    /// A UUID that makes the command safe to repeat
    #[arg(long, value_name = "UUID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    request_id: Option<String>,

    /// Wait until the operation ends
    #[arg(long)]
    wait: bool,
}

/// What is to be done, with the file that it needs.
pub(super) struct Create {
    request: CreateCertificateRequest,
    note: Option<String>,
    wait: bool,
}

impl CreateArgs {
    /// Reads the request. Its bytes go as they are: the server knows the forms.
    pub(super) fn prepare(self) -> Result<Create> {
        let Self { name, policy, csr, tags, disabled, request_id, wait } = self;
        let mut policy = policy.into_policy();
        let note = policy.as_mut().and_then(|policy| {
            common_name::as_alternative_name(policy).or_else(|| common_name::from_alternative_names(policy))
        });
        let request = CreateCertificateRequest {
            vault_name: String::new(),
            certificate_name: name,
            policy,
            attributes: disabled.then(|| CertificateAttributes { enabled: Some(false), ..Default::default() }),
            tags: tags.into_iter().collect(),
            preserve_cert_order: None,
            request_id: request_id.unwrap_or_default(),
            csr: csr.as_deref().map(merge::read).transpose()?.map(Into::into),
        };
        Ok(Create { request, note, wait })
    }
}

pub(super) async fn run(session: &Session, output: Output, create: Create) -> Result<Exit> {
    let Create { mut request, note, wait } = create;
    request.vault_name = session.vault();
    if let Some(note) = note {
        output.note(&note);
    }
    let (chosen_id, own_request) = (!request.request_id.is_empty(), request.csr.clone());
    // Without an identifier of the caller a second call would meet the operation of the first.
    let repeat = if chosen_id { Repeat::Safe } else { Repeat::Never };
    let answer = session.call(repeat, request, Certificates::create_certificate);
    let answer = answer.await?;
    let mut operation = answer.operation.ok_or_else(|| Failure::incomplete_answer("operation"))?;
    let mut resume_token = answer.resume_token;
    let has_request = own_request.is_some();
    if own_request.is_some_and(|file| !own_request::is(&file, &operation.csr)) {
        return Err(own_request::ignored(&operation.certificate_name));
    }
    if wait {
        if chosen_id {
            // A repeat answers the operation as it began, whatever happened since.
            (operation, resume_token) = present_state(session, &operation).await?;
        }
        (operation, resume_token) = wait::until_end(session, output, operation, resume_token).await?;
    }
    let chain = match wait && has_request && is_completed(&operation) {
        true => Some(own_request::chain(session, &operation).await?),
        false => None,
    };
    output.result(
        || {
            let mut shown = json!({ "operation": json::message(&operation), "resume_token": resume_token });
            if let Some(chain) = &chain {
                shown["pem"] = chain.as_str().into();
            }
            shown
        },
        || chain.clone().unwrap_or_else(|| text::operation(&operation)),
    )?;
    if wait { wait::verdict(&operation) } else { Ok(Exit::Done) }
}

fn is_completed(operation: &PendingOperation) -> bool {
    PendingStatus::try_from(operation.status) == Ok(PendingStatus::Completed)
}

pub(super) async fn present_state(
    session: &Session,
    operation: &PendingOperation,
) -> Result<(PendingOperation, String)> {
    let request = GetPendingRequest {
        vault_name: session.vault(),
        certificate_name: operation.certificate_name.clone(),
        request_id: operation.request_id.clone(),
    };
    let rpc = session.call(Repeat::Safe, request, Certificates::get_pending);
    let answer = rpc.await?;
    let operation = answer.operation.ok_or_else(|| Failure::incomplete_answer("operation"))?;
    Ok((operation, answer.resume_token))
}

pub(super) fn tag(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
