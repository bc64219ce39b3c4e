//! `certmint access grant`, `revoke` and `role`: changes of rights.

use super::connection::{Access, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::trust::unreadable;
use super::{Result, access, json};
use crate::proto::v1::{
    CreateGrantRequest, DeleteGrantRequest, DeleteRoleRequest, GetGrantRequest, Grant, RequestRules, Role,
    SetRoleRequest, SubjectRule,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Arguments of `certmint access grant`.
#[derive(Clone, Debug, clap::Args)]
pub struct GrantArgs {
    /// Who gets it, such as token:shop
    principal: String,

    /// The name of a role, or its id
    role: String,

    /// The name of a certificate, or the beginning of names with a star, such as "shop-*" [repeatable] [default: every
    /// name]
    #[arg(long = "name", value_name = "PATTERN")]
    names: Vec<String>,

    /// An issuer that may be asked, likewise [repeatable] [default: every one]
    #[arg(long = "issuer", value_name = "PATTERN")]
    issuers: Vec<String>,

    /// On every vault, instead of that of --vault
    #[arg(long)]
    every_vault: bool,

    /// A file with what may be asked for: the members of `rules` in a file of grants, in TOML
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,

    /// A role that may be granted with it, or "*" for every one [repeatable]
    #[arg(long, value_name = "ROLE")]
    may_grant: Vec<String>,

    /// When it is over, such as 2027-01-31T00:00:00Z [default: never]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires: Option<prost_types::Timestamp>,

    /// A note for people; callers that the grant refuses see it
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,

    /// A UUID, so that the command can be repeated [default: a random one]
    #[arg(long, value_name = "UUID")]
    id: Option<String>,
}

/// The commands of `certmint access role`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum RoleCommand {
    /// Make a role, or change it for whoever holds it
    Set {
        /// Its name
        name: String,
        /// A data action, in which * stands for any text; `Microsoft.KeyVault/vaults/` at its beginning may be left
        /// out [repeatable]
        #[arg(long = "action", value_name = "ACTION", required = true)]
        actions: Vec<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// A UUID [default: that of the role with this name, or a random one]
        #[arg(long, value_name = "UUID")]
        id: Option<String>,
    },
    /// Delete a role that no grant has
    Delete {
        /// The role, by name or id
        role: String,
    },
}

pub(super) async fn grant(session: &Session, output: Output, args: GrantArgs) -> Result<Exit> {
    let GrantArgs { principal, role, names, issuers, every_vault, rules, may_grant, expires, note, id } = args;
    // Without an id of the user it is safe to repeat all the same.
    let grant_id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let vault_name = if every_vault { "*".to_owned() } else { session.vault() };
    let rules = rules.as_deref().map(read_rules).transpose()?;
    let request =
        CreateGrantRequest { grant_id, principal, role, vault_name, names, issuers, rules, may_grant, expires, note };
    let answer = session.call(Repeat::Safe, request, Access::create_grant).await?.grant;
    print_grant(output, answer)
}

pub(super) async fn show(session: &Session, output: Output, grant_id: String) -> Result<Exit> {
    let answer = session.call(Repeat::Safe, GetGrantRequest { grant_id }, Access::get_grant).await?.grant;
    print_grant(output, answer)
}

pub(super) async fn revoke(session: &Session, output: Output, grant_id: String) -> Result<Exit> {
    let answer = session.call(Repeat::Never, DeleteGrantRequest { grant_id }, Access::delete_grant).await?.grant;
    print_grant(output, answer)
}

pub(super) async fn role(session: &Session, output: Output, command: RoleCommand) -> Result<Exit> {
    let role = match command {
        RoleCommand::Set { name, actions, description, id } => {
            let actions = actions.into_iter().map(access::full_action).collect();
            let request = SetRoleRequest { role_id: id.unwrap_or_default(), name, description, actions };
            session.call(Repeat::Safe, request, Access::set_role).await?.role
        }
        RoleCommand::Delete { role } => {
            session.call(Repeat::Never, DeleteRoleRequest { role }, Access::delete_role).await?.role
        }
    };
    let role: Role = role.ok_or_else(|| Failure::incomplete_answer("role"))?;
    output.result(|| json!({ "role": json::message(&role) }), || access::role_lines(std::slice::from_ref(&role)))?;
    Ok(Exit::Done)
}

fn print_grant(output: Output, grant: Option<Grant>) -> Result<Exit> {
    let grant = grant.ok_or_else(|| Failure::incomplete_answer("grant"))?;
    output.result(|| json!({ "grant": json::message(&grant) }), || access::lines(std::slice::from_ref(&grant)))?;
    Ok(Exit::Done)
}

fn moment(text: &str) -> std::result::Result<prost_types::Timestamp, String> {
    let read = OffsetDateTime::parse(text, &Rfc3339);
    let read = read.map_err(|_| "write a time such as 2027-01-31T00:00:00Z".to_owned())?;
    Ok(prost_types::Timestamp { seconds: read.unix_timestamp(), nanos: 0 })
}

/// The members of `rules` as a file of grants has them.
fn read_rules(path: &Path) -> Result<RequestRules> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let wrong = |problem: String| Failure::usage(format!("{}: {problem}", path.display()));
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
    let subject: BTreeMap<String, Vec<String>> = take(&mut table, "subject").map_err(wrong)?;
    let rules = RequestRules {
        dns: take(&mut table, "dns").map_err(wrong)?,
        wildcards: take(&mut table, "wildcards").map_err(wrong)?,
        ip: take(&mut table, "ip").map_err(wrong)?,
        uri: take(&mut table, "uri").map_err(wrong)?,
        email: take(&mut table, "email").map_err(wrong)?,
        subject: subject.into_iter().map(|(attribute, values)| SubjectRule { attribute, values }).collect(),
        key_types: take(&mut table, "key_types").map_err(wrong)?,
        max_validity_months: take(&mut table, "max_validity_months").map_err(wrong)?,
        ekus: take(&mut table, "ekus").map_err(wrong)?,
        exportable: take(&mut table, "exportable").map_err(wrong)?,
        reuse_key: take(&mut table, "reuse_key").map_err(wrong)?,
        ca: take(&mut table, "ca").map_err(wrong)?,
    };
    match table.keys().next() {
        Some(unknown) => Err(wrong(format!("there is no rule `{unknown}`"))),
        None => Ok(rules),
    }
}

/// A member, which may be missing.
fn take<T: DeserializeOwned + Default>(table: &mut toml::Table, name: &str) -> std::result::Result<T, String> {
    let Some(value) = table.remove(name) else { return Ok(T::default()) };
    value.try_into().map_err(|error| format!("{name}: {}", error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_rules_is_read_and_a_misspelt_member_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.toml");
        std::fs::write(&path, "dns = [\"*.shop.example\"]\nsubject = { O = [\"Shop\"] }\nexportable = true\n").unwrap();
        let rules = read_rules(&path).unwrap();
        assert_eq!((rules.dns.as_slice(), rules.exportable), (["*.shop.example".to_owned()].as_slice(), true));
        assert_eq!((rules.subject[0].attribute.as_str(), rules.subject[0].values.len()), ("O", 1));
        std::fs::write(&path, "dsn = []\n").unwrap();
        assert!(format!("{:?}", read_rules(&path).unwrap_err()).contains("dsn"));
        assert!(moment("tomorrow").is_err() && moment("2027-01-31T00:00:00Z").unwrap().seconds == 1_801_353_600);
    }
}
