//! `certmint access`: who I am, and who may do what.

use super::connection::{Access, Repeat, Session};
use super::failure::Exit;
use super::grants::{GrantArgs, RoleCommand};
use super::output::Output;
use super::{Result, grants, json, text};
use crate::proto::v1::{
    AccessMode, CallerCredential, CheckAccessRequest, CredentialKind, Grant, GrantSource, ListGrantsRequest,
    ListRolesRequest, Role, RoleSource, WhoAmIRequest, WhoAmIResponse,
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
        /// The name of a certificate [default: whether it is allowed for any]
        name: Option<String>,
        /// The principal, such as token:shop [default: the caller]
        #[arg(long, value_name = "PRINCIPAL")]
        principal: Option<String>,
    },
    /// List the grants that I may see
    List {
        /// Of one principal only, such as token:shop
        #[arg(long, value_name = "PRINCIPAL")]
        principal: Option<String>,
    },
    /// Print one grant
    Show {
        /// Its id
        id: String,
    },
    /// Grant a role to a principal
    Grant(Box<GrantArgs>),
    /// Take a grant away; streams that show more than is left end within a second
    Revoke {
        /// Its id
        id: String,
    },
    /// List the roles
    Roles,
    /// Make, change and delete roles
    #[command(subcommand)]
    Role(RoleCommand),
}

pub(super) async fn run(session: &Session, output: Output, command: AccessCommand) -> Result<Exit> {
    match command {
        AccessCommand::Whoami => {
            let answer = session.call(Repeat::Safe, WhoAmIRequest::default(), Access::who_am_i).await?;
            output.result(|| json::message(&answer), || whoami(&answer))?;
        }
        AccessCommand::Check { action, name, principal } => {
            let request = CheckAccessRequest {
                principal: principal.unwrap_or_default(),
                action: full_action(action),
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
        AccessCommand::Show { id } => return grants::show(session, output, id).await,
        AccessCommand::Grant(args) => return grants::grant(session, output, *args).await,
        AccessCommand::Revoke { id } => return grants::revoke(session, output, id).await,
        AccessCommand::Role(command) => return grants::role(session, output, command).await,
        AccessCommand::Roles => {
            let roles = session.call(Repeat::Safe, ListRolesRequest::default(), Access::list_roles).await?.roles;
            output.result(|| json!({ "roles": json::messages(&roles) }), || role_lines(&roles))?;
        }
    }
    Ok(Exit::Done)
}

/// With the beginning that most actions have.
pub(super) fn full_action(action: String) -> String {
    let whole = ["Microsoft.", "certmint/", "*"].iter().any(|begin| action.starts_with(begin));
    if whole { action } else { format!("Microsoft.KeyVault/vaults/{action}") }
}

fn whoami(answer: &WhoAmIResponse) -> String {
    let WhoAmIResponse { principal, grants, mode: _, credential } = answer;
    let credential = credential.as_ref().map(proof).unwrap_or_default();
    let rights = match answer.mode() {
        AccessMode::Open => format!("{principal}: everybody may do everything (development mode)"),
        AccessMode::Report => format!("{principal}: nothing is refused (mode = \"report\")\n{}", lines(grants)),
        AccessMode::Enforce | AccessMode::Unspecified if grants.is_empty() => format!("{principal}: no grants"),
        AccessMode::Enforce | AccessMode::Unspecified => format!("{principal}\n{}", lines(grants)),
    };
    match rights.split_once('\n') {
        Some((who, grants)) => format!("{who}\n{credential}{grants}"),
        None if credential.is_empty() => rights,
        None => format!("{rights}\n{}", credential.trim_end()),
    }
}

/// A line about the token of another issuer or the client certificate; of others the name of the principal says
/// everything.
pub(super) fn proof(credential: &CallerCredential) -> String {
    let CallerCredential { kind: _, provider, groups, expires } = credential;
    match credential.kind() {
        CredentialKind::Jwt => {}
        CredentialKind::Certificate => {
            return format!("client certificate of {provider}, until {}\n", text::time(expires.as_ref()));
        }
        CredentialKind::Unspecified | CredentialKind::Development | CredentialKind::Token => return String::new(),
    }
    let groups = if groups.is_empty() { "none".to_owned() } else { groups.join(" ") };
    format!("token of {provider}, until {}  groups {groups}\n", text::time(expires.as_ref()))
}

pub(super) fn lines(grants: &[Grant]) -> String {
    let line = |grant: &Grant| {
        let Grant { id, principal, role, vault, names, issuers, rules, note, .. } = grant;
        let source = match grant.source() {
            GrantSource::Configuration => "configuration",
            GrantSource::File => "file",
            GrantSource::Store => "store",
            GrantSource::Unspecified => "",
        };
        let mut line = format!("{id}  {source}  {principal}  {role}  vault {vault}  names {}", names.join(" "));
        if issuers.iter().any(|issuer| issuer != "*") {
            line.push_str(&format!("  issuers {}", issuers.join(" ")));
        }
        if rules.is_some() {
            line.push_str("  with rules");
        }
        if !grant.may_grant.is_empty() {
            line.push_str(&format!("  may grant {}", grant.may_grant.join(" ")));
        }
        if let Some(expires) = &grant.expires {
            line.push_str(&format!("  until {}", text::time(Some(expires))));
        }
        if !grant.created_by.is_empty() {
            line.push_str(&format!("  by {}", grant.created_by));
        }
        if !note.is_empty() {
            line.push_str(&format!("  ({note})"));
        }
        line
    };
    grants.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn role_lines(roles: &[Role]) -> String {
    let line = |role: &Role| {
        let Role { id, name, description, actions, .. } = role;
        let source = match role.source() {
            RoleSource::BuiltIn | RoleSource::Unspecified => "built-in",
            RoleSource::File => "file",
            RoleSource::Store => "store",
        };
        let description = if description.is_empty() { String::new() } else { format!("\n  {description}") };
        format!("{name}  {id}  {source}{description}\n  {}", actions.join("\n  "))
    };
    roles.iter().map(line).collect::<Vec<_>>().join("\n")
}
