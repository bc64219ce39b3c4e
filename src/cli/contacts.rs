//! `certmint contacts`.

use super::connection::{Admin, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::{Result, json, text};
use crate::proto::v1::{Contact, Contacts, DeleteContactsRequest, GetContactsRequest, SetContactsRequest};
use serde_json::json;

/// The commands of `certmint contacts`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ContactsCommand {
    /// Print the contacts of the vault
    Show,
    /// Replace the contacts of the vault
    Set {
        /// An address, or `NAME <EMAIL> PHONE`
        #[arg(value_name = "CONTACT", required = true, value_parser = contact)]
        contacts: Vec<Contact>,
    },
    /// Delete the contacts of the vault
    Delete,
}

pub(super) async fn run(session: &Session, output: Output, command: ContactsCommand) -> Result<Exit> {
    let vault_name = session.vault();
    let contacts = match command {
        ContactsCommand::Show => {
            let request = GetContactsRequest { vault_name };
            let rpc = session.call(Repeat::Safe, request, Admin::get_contacts);
            rpc.await?.contacts
        }
        ContactsCommand::Set { contacts } => {
            let contacts = Some(Contacts { id: String::new(), contacts });
            let request = SetContactsRequest { vault_name, contacts };
            let rpc = session.call(Repeat::Safe, request, Admin::set_contacts);
            rpc.await?.contacts
        }
        ContactsCommand::Delete => {
            let request = DeleteContactsRequest { vault_name };
            let rpc = session.call(Repeat::Never, request, Admin::delete_contacts);
            rpc.await?.contacts
        }
    };
    let contacts = contacts.ok_or_else(|| Failure::incomplete_answer("contacts"))?;
    output.result(|| json!({ "contacts": json::message(&contacts) }), || text::manage::contacts(&contacts))?;
    Ok(Exit::Done)
}

/// `email`, or `Name <email> phone`.
fn contact(text: &str) -> std::result::Result<Contact, String> {
    let wrong = || "write an address, or \"NAME <EMAIL> PHONE\"".to_owned();
    let (name, email, phone) = match text.split_once('<') {
        None => ("", text, ""),
        Some((name, rest)) => {
            let (email, phone) = rest.split_once('>').ok_or_else(wrong)?;
            (name, email, phone)
        }
    };
    let [name, email, phone] = [name, email, phone].map(|part| part.trim().to_owned());
    if email.contains('@') { Ok(Contact { email, name, phone }) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_an_address_with_or_without_a_name_and_a_number() {
        let parts = |text: &str| contact(text).map(|Contact { email, name, phone }| [email, name, phone]);
        assert_eq!(parts("ann@example.com").unwrap(), ["ann@example.com", "", ""]);
        assert_eq!(parts("Ann Lee <ann@example.com> +1 555").unwrap(), ["ann@example.com", "Ann Lee", "+1 555"]);
        assert_eq!(parts("<ann@example.com>").unwrap(), ["ann@example.com", "", ""]);
        for bad in ["", "Ann", "Ann <ann@example.com", "Ann <> 1"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }
}
