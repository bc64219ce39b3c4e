//! `certmint policy`.

use super::connection::{Certificates, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::policy::PolicyArgs;
use super::{Result, json, text};
use crate::proto::v1::{CertificatePolicy, GetCertificatePolicyRequest, UpdateCertificatePolicyRequest};
use serde_json::json;

/// The commands of `certmint policy`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// Print the policy of a certificate
    Get {
        /// The certificate
        name: String,
    },
    /// Change the policy of a certificate for future versions; anything not given stays as it is
    Set(Box<SetArgs>),
}

/// Arguments of `certmint policy set`.
#[derive(Clone, Debug, clap::Args)]
pub struct SetArgs {
    /// The certificate
    name: String,

    #[command(flatten)]
    policy: PolicyArgs,
}

pub(super) async fn run(session: &Session, output: Output, command: PolicyCommand) -> Result<Exit> {
    match command {
        PolicyCommand::Get { name } => {
            let request = GetCertificatePolicyRequest { vault_name: session.vault(), certificate_name: name };
            let rpc = session.call(Repeat::Safe, request, Certificates::get_certificate_policy);
            print(output, rpc.await?.policy)
        }
        PolicyCommand::Set(args) => {
            let SetArgs { name, policy } = *args;
            let policy = policy
                .into_policy()
                .ok_or_else(|| Failure::usage("there is nothing to change: give at least one option"))?;
            // Without a mask: what is in the message is written.
            let request = UpdateCertificatePolicyRequest {
                vault_name: session.vault(),
                certificate_name: name,
                policy: Some(policy),
                update_mask: None,
            };
            let rpc = session.call(Repeat::Safe, request, Certificates::update_certificate_policy);
            print(output, rpc.await?.policy)
        }
    }
}

fn print(output: Output, policy: Option<CertificatePolicy>) -> Result<Exit> {
    let policy = policy.ok_or_else(|| Failure::incomplete_answer("policy"))?;
    output.result(|| json!({ "policy": json::message(&policy) }), || text::manage::policy(&policy))?;
    Ok(Exit::Done)
}
