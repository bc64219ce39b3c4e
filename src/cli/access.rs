//! `certmint access`: who I am, and who may do what.

use super::connection::{Access, Repeat, Session};
use super::failure::Exit;
use super::output::Output;
use super::{Result, json};
use crate::proto::v1::{
    AccessMode, CheckAccessRequest, Grant, ListGrantsRequest, ListRolesRequest, Role, WhoAmIRequest, WhoAmIResponse,
};
use serde_json::json;

/// The commands of `certmint access`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum AccessCommand {
    /// Say who the server takes me for, and what I may do
    Whoami,
    /// Say whether something is allowed, and by which grant; exits with 1 if it is not
    Check {
        /// A data action; without a slash at its beginning `Microsoft.KeyVault/vaults/` may be left out:
        /// certificates/read, secrets/getSecret/action
        action: String,
        /// The name of a certificate [default: whether there is any]
        name: Option<String>,
        /// Of whom, such as token:shop [default: of me]
        #[arg(long, value_name = "PRINCIPAL")]
        principal: Option<String>,
    },
    /// List the grants that I may see
    List {
        /// Of one principal only, such as token:shop
        #[arg(long, value_name = "PRINCIPAL")]
        principal: Option<String>,
    },
    /// List the roles
    Roles,
}

pub(super) async fn run(session: &Session, output: Output, command: AccessCommand) -> Result<Exit> {
    match command {
        AccessCommand::Whoami => {
            let answer = session.call(Repeat::Safe, WhoAmIRequest::default(), Access::who_am_i).await?;
            output.result(|| json::message(&answer), || whoami(&answer))?;
        }
        AccessCommand::Check { action, name, principal } => {
            let own = ["Microsoft.", "certmint/"].iter().any(|begin| action.starts_with(begin));
            let request = CheckAccessRequest {
                principal: principal.unwrap_or_default(),
                action: if own { action } else { format!("Microsoft.KeyVault/vaults/{action}") },
                vault_name: session.vault(),
                name: name.unwrap_or_default(),
            };
            let answer = session.call(Repeat::Safe, request, Access::check_access).await?;
            let text = || match (answer.allowed, answer.grant_id.as_str()) {
                (false, _) => "not allowed".to_owned(),
                (true, "") => "allowed".to_owned(),
                (true, grant) => format!("allowed by the grant {grant}"),
            };
            output.result(|| json::message(&answer), text)?;
            if !answer.allowed {
                return Ok(Exit::Error);
            }
        }
        AccessCommand::List { principal } => {
            let principal = principal.unwrap_or_default();
            let request = ListGrantsRequest { principal, ..ListGrantsRequest::default() };
            let (grants, _) = session.all(request, Access::list_grants).await?;
            output.result(|| json!({ "grants": json::messages(&grants) }), || lines(&grants))?;
        }
        AccessCommand::Roles => {
            let roles = session.call(Repeat::Safe, ListRolesRequest::default(), Access::list_roles).await?.roles;
            output.result(|| json!({ "roles": json::messages(&roles) }), || role_lines(&roles))?;
        }
    }
    Ok(Exit::Done)
}

fn whoami(answer: &WhoAmIResponse) -> String {
    let WhoAmIResponse { principal, grants, mode: _ } = answer;
    match answer.mode() {
        AccessMode::Open => format!("{principal}: everybody may do everything (development mode)"),
        AccessMode::Report => format!("{principal}: nothing is refused (mode = \"report\")\n{}", lines(grants)),
        AccessMode::Enforce | AccessMode::Unspecified if grants.is_empty() => format!("{principal}: no grants"),
        AccessMode::Enforce | AccessMode::Unspecified => format!("{principal}\n{}", lines(grants)),
    }
}

fn lines(grants: &[Grant]) -> String {
    let line = |grant: &Grant| {
        let Grant { id, principal, role, vault, names, issuers, rules, note, .. } = grant;
        let mut line = format!("{id}  {principal}  {role}  vault {vault}  names {}", names.join(" "));
        if issuers.iter().any(|issuer| issuer != "*") {
            line.push_str(&format!("  issuers {}", issuers.join(" ")));
        }
        if rules.is_some() {
            line.push_str("  with rules");
        }
        if !note.is_empty() {
            line.push_str(&format!("  ({note})"));
        }
        line
    };
    grants.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn role_lines(roles: &[Role]) -> String {
    let line = |role: &Role| {
        let Role { id, name, description, actions, built_in: _ } = role;
        format!("{name}  {id}\n  {description}\n  {}", actions.join("\n  "))
    };
    roles.iter().map(line).collect::<Vec<_>>().join("\n")
}
