//! `certmint pending`.

use super::connection::{Certificates, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::watch::StatusArg;
use super::{Result, json, text};
use crate::proto::v1::{
    CancelPendingRequest, DeletePendingRequest, GetPendingRequest, ListPendingRequest, PendingOperation, PendingStatus,
};
use serde_json::json;

/// The commands of `certmint pending`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum PendingCommand {
    /// Print a pending operation
    Show(OperationArgs),
    /// List pending operations by name
    List(ListArgs),
    /// Request the cancellation of an operation in progress
    Cancel(OperationArgs),
    /// Delete a pending operation
    Delete(OperationArgs),
}

/// One operation.
#[derive(Clone, Debug, clap::Args)]
pub struct OperationArgs {
    /// The certificate
    name: String,

    /// Only if the current operation has this request_id
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
}

/// Which operations to list.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArgs {
    /// Only names that begin with this
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,

    /// Only this state [repeatable]
    #[arg(long = "status", value_enum, value_name = "STATUS")]
    statuses: Vec<StatusArg>,
}

pub(super) async fn run(session: &Session, output: Output, command: PendingCommand) -> Result<Exit> {
    match command {
        PendingCommand::Show(args) => show(session, output, args).await,
        PendingCommand::List(args) => list(session, output, args).await,
        PendingCommand::Cancel(args) => cancel(session, output, args).await,
        PendingCommand::Delete(args) => delete(session, output, args).await,
    }
}

async fn show(session: &Session, output: Output, args: OperationArgs) -> Result<Exit> {
    let OperationArgs { name, request_id } = args;
    let request = GetPendingRequest { vault_name: session.vault(), certificate_name: name, request_id };
    let rpc = session.call(Repeat::Safe, request, Certificates::get_pending);
    let answer = rpc.await?;
    print(output, answer.operation, Some(answer.resume_token))
}

async fn cancel(session: &Session, output: Output, args: OperationArgs) -> Result<Exit> {
    let OperationArgs { name, request_id } = args;
    let request = CancelPendingRequest { vault_name: session.vault(), certificate_name: name, request_id };
    let rpc = session.call(Repeat::Safe, request, Certificates::cancel_pending);
    let answer = rpc.await?;
    print(output, answer.operation, Some(answer.resume_token))
}

async fn delete(session: &Session, output: Output, args: OperationArgs) -> Result<Exit> {
    let OperationArgs { name, request_id } = args;
    let request = DeletePendingRequest { vault_name: session.vault(), certificate_name: name, request_id };
    // Not safe to repeat: a second deletion would get NOT_FOUND.
    let rpc = session.call(Repeat::Never, request, Certificates::delete_pending);
    print(output, rpc.await?.operation, None)
}

async fn list(session: &Session, output: Output, args: ListArgs) -> Result<Exit> {
    let ListArgs { prefix, statuses } = args;
    let request = ListPendingRequest {
        vault_name: session.vault(),
        certificate_name_prefix: prefix,
        statuses: statuses.into_iter().map(|status| PendingStatus::from(status).into()).collect(),
        ..Default::default()
    };
    let (operations, last) = session.all(request, Certificates::list_pending).await?;
    output.result(
        || {
            let operations = json::messages(&operations);
            json!({ "operations": operations, "resume_token": last.resume_token })
        },
        || text::operations(&operations),
    )?;
    Ok(Exit::Done)
}

fn print(output: Output, operation: Option<PendingOperation>, resume_token: Option<String>) -> Result<Exit> {
    let operation = operation.ok_or_else(|| Failure::incomplete_answer("operation"))?;
    output.result(
        || {
            let mut value = json!({ "operation": json::message(&operation) });
            if let Some(token) = resume_token {
                value["resume_token"] = token.into();
            }
            value
        },
        || text::operation(&operation),
    )?;
    Ok(Exit::Done)
}
