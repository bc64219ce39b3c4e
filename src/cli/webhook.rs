//! `certmint webhook`: where the events of a vault are sent.

use super::connection::{Repeat, Session, Webhooks};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::trust::unreadable;
use super::{Result, json, text};
use crate::proto::v1::{
    DeleteWebhookRequest, GetWebhookRequest, ListDeliveriesRequest, ListWebhooksRequest, PauseWebhookRequest,
    RedeliverRequest, ResumeWebhookRequest, SetWebhookRequest, TestWebhookRequest, Webhook, WebhookEnvelope,
};
use serde_json::json;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Neither a secret nor a list of CA certificates is longer.
const MAX_FILE: u64 = 256 * 1024;

/// The commands of `certmint webhook`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum WebhookCommand {
    /// Create a webhook, or replace it
    Set(Box<SetArgs>),
    /// Print a webhook
    Show(NameArgs),
    /// List the webhooks of the vault
    List,
    /// Delete a webhook, with what waits for it
    Delete(NameArgs),
    /// Send nothing to a webhook until it is resumed
    Pause {
        /// The webhook
        name: String,
        /// Why, for people
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Send to a webhook again
    Resume(NameArgs),
    /// Send a test event, and say how the receiver took it
    Test(NameArgs),
    /// List what waits for a webhook
    Deliveries {
        /// The webhook
        name: String,
        /// What it did not take (dead letters) instead
        #[arg(long)]
        dead_letters: bool,
    },
    /// Send dead letters again
    Redeliver {
        /// The webhook
        name: String,
        /// Only this event [default: all]
        #[arg(long, value_name = "ID")]
        event: Option<String>,
    },
}

/// The name of a webhook.
#[derive(Clone, Debug, clap::Args)]
pub struct NameArgs {
    /// The webhook
    name: String,
}

/// The form of the events.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum EnvelopeArg {
    /// CloudEvents 1.0 in structured JSON
    #[default]
    Cloudevents,
    /// The schema of Azure Event Grid
    Eventgrid,
}

/// Arguments of `certmint webhook set`.
#[derive(Clone, Debug, clap::Args)]
pub struct SetArgs {
    /// The webhook: 1 to 127 letters, digits and dashes
    name: String,
    /// Where events are sent: an https address, or http on the machine of the server
    #[arg(long, value_name = "URL")]
    url: String,
    /// A type of events, or the beginning of some with * at the end [repeatable; default: all]
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// The form of the events
    #[arg(long, value_enum, default_value_t)]
    envelope: EnvelopeArg,
    /// The receiver has to agree first, as the envelope has it
    #[arg(long)]
    handshake: bool,
    /// A file of CA certificates (PEM) that the receiver's may come from, beside the system's
    #[arg(long, value_name = "FILE")]
    receiver_ca: Option<PathBuf>,
    /// A header of every request, its value read from a file, or from standard input if that is `-`; an empty value removes
    /// it [repeatable]
    #[arg(long = "secret-header", value_name = "NAME=FILE", value_parser = header)]
    secret_headers: Vec<(String, String)>,
    /// Read a signing secret (whsec_...) from a file, or from standard input if that is `-` [default: the one before, or one
    /// that the server makes]
    #[arg(long, value_name = "FILE", conflicts_with = "make_secret")]
    secret_file: Option<PathBuf>,
    /// Let the server make a new signing secret; the one before signs beside it
    #[arg(long)]
    make_secret: bool,
    /// Let the signing secrets before the newest one sign no more
    #[arg(long)]
    forget_secrets: bool,
}

pub(super) async fn run(session: &Session, output: Output, command: WebhookCommand) -> Result<Exit> {
    let vault_name = session.vault();
    let webhook = match command {
        WebhookCommand::Set(args) => return set(session, output, *args).await,
        WebhookCommand::List => return list(session, output).await,
        WebhookCommand::Test(NameArgs { name }) => return test(session, output, name).await,
        WebhookCommand::Deliveries { name, dead_letters } => {
            return deliveries(session, output, name, dead_letters).await;
        }
        WebhookCommand::Redeliver { name, event } => {
            let event_id = event.unwrap_or_default();
            let request = RedeliverRequest { vault_name, webhook_name: name, event_id };
            let count = session.call(Repeat::Safe, request, Webhooks::redeliver).await?.count;
            output.result(|| json!({ "count": count }), || format!("{count} events are sent again\n"))?;
            return Ok(Exit::Done);
        }
        WebhookCommand::Show(NameArgs { name }) => {
            let request = GetWebhookRequest { vault_name, webhook_name: name };
            session.call(Repeat::Safe, request, Webhooks::get_webhook).await?.webhook
        }
        WebhookCommand::Delete(NameArgs { name }) => {
            let request = DeleteWebhookRequest { vault_name, webhook_name: name };
            session.call(Repeat::Never, request, Webhooks::delete_webhook).await?.webhook
        }
        WebhookCommand::Pause { name, reason } => {
            let request = PauseWebhookRequest { vault_name, webhook_name: name, reason };
            session.call(Repeat::Safe, request, Webhooks::pause_webhook).await?.webhook
        }
        WebhookCommand::Resume(NameArgs { name }) => {
            let request = ResumeWebhookRequest { vault_name, webhook_name: name };
            session.call(Repeat::Safe, request, Webhooks::resume_webhook).await?.webhook
        }
    };
    let webhook = webhook.ok_or_else(|| Failure::incomplete_answer("webhook"))?;
    output.result(|| json!({ "webhook": json::message(&webhook) }), || text::webhooks::webhook(&webhook))?;
    Ok(Exit::Done)
}

async fn set(session: &Session, output: Output, args: SetArgs) -> Result<Exit> {
    let SetArgs {
        name,
        url,
        events,
        envelope,
        handshake,
        receiver_ca,
        secret_headers,
        secret_file,
        make_secret,
        forget_secrets,
    } = args;
    let envelope = match envelope {
        EnvelopeArg::Cloudevents => WebhookEnvelope::CloudEvents,
        EnvelopeArg::Eventgrid => WebhookEnvelope::EventGrid,
    };
    let mut headers = HashMap::new();
    for (name, file) in secret_headers {
        headers.insert(name, read(Path::new(&file))?.trim_end().to_owned());
    }
    let request = SetWebhookRequest {
        vault_name: session.vault(),
        webhook_name: name,
        webhook: Some(Webhook {
            url,
            event_types: events,
            envelope: envelope.into(),
            handshake,
            ca_certificates: receiver_ca.map(|file| read(&file)).transpose()?.unwrap_or_default(),
            ..Default::default()
        }),
        secret: secret_file.map(|file| read(&file)).transpose()?.unwrap_or_default().trim().to_owned(),
        make_secret,
        forget_secrets,
        secret_headers: headers,
    };
    let answer = session.call(Repeat::Never, request, Webhooks::set_webhook).await?;
    let webhook = answer.webhook.ok_or_else(|| Failure::incomplete_answer("webhook"))?;
    let secret = answer.secret;
    output.result(
        || json!({ "webhook": json::message(&webhook), "secret": secret }),
        || {
            let shown = text::webhooks::webhook(&webhook);
            match secret.as_str() {
                "" => shown,
                secret => format!("{shown}\nThe signing secret, which is not shown again:\n{secret}\n"),
            }
        },
    )?;
    Ok(Exit::Done)
}

async fn list(session: &Session, output: Output) -> Result<Exit> {
    let request = ListWebhooksRequest { vault_name: session.vault(), ..Default::default() };
    let (webhooks, _) = session.all(request, Webhooks::list_webhooks).await?;
    output.result(|| json!({ "webhooks": json::messages(&webhooks) }), || text::webhooks::webhooks(&webhooks))?;
    Ok(Exit::Done)
}

async fn test(session: &Session, output: Output, name: String) -> Result<Exit> {
    let request = TestWebhookRequest { vault_name: session.vault(), webhook_name: name };
    let test = session.call(Repeat::Never, request, Webhooks::test_webhook).await?;
    let word = if test.taken { "taken" } else { "not taken" };
    output.result(|| json::message(&test), || format!("{word}: {}\n", text::printable(&test.outcome)))?;
    Ok(if test.taken { Exit::Done } else { Exit::OperationFailed })
}

async fn deliveries(session: &Session, output: Output, name: String, dead_letters: bool) -> Result<Exit> {
    let request =
        ListDeliveriesRequest { vault_name: session.vault(), webhook_name: name, dead_letters, ..Default::default() };
    let (deliveries, _) = session.all(request, Webhooks::list_deliveries).await?;
    output
        .result(|| json!({ "deliveries": json::messages(&deliveries) }), || text::webhooks::deliveries(&deliveries))?;
    Ok(Exit::Done)
}

/// A file, or standard input for `-`.
fn read(file: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(MAX_FILE).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|opened| opened.take(MAX_FILE).read_to_string(&mut text))
    };
    read.map_err(|error| unreadable(file, &error))?;
    Ok(text)
}

/// `NAME=FILE`.
fn header(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.trim().is_empty() && !file.is_empty() => {
            Ok((name.trim().to_owned(), file.to_owned()))
        }
        _ => Err("write NAME=FILE".to_owned()),
    }
}
