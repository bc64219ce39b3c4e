//! The contacts of a vault: whom to notify about its certificates.

use super::{Error, Result, text};
use serde::{Deserialize, Serialize};

/// Most contacts of one vault.
pub const MAX_CONTACTS: usize = 100;
/// Longest member of a contact, in characters.
pub const MAX_TEXT: usize = 320;

/// One contact.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    pub email: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// The contacts of a vault, checked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Contacts(Vec<Contact>);

impl Contacts {
    /// Refuses too many, and a contact without an email address. An empty list is one.
    pub fn new(contacts: Vec<Contact>) -> Result<Self> {
        if contacts.len() > MAX_CONTACTS {
            return Err(Error::field("contacts", format!("More than {MAX_CONTACTS} contacts.")));
        }
        for (index, Contact { email, name, phone }) in contacts.iter().enumerate() {
            let path = |member: &str| format!("contacts[{index}].{member}");
            if !is_email(email) {
                return Err(Error::field(path("email"), "It is required: an email address such as admin@example.com."));
            }
            for (member, given) in [("name", name), ("phone", phone)] {
                if given.as_ref().is_some_and(|given| given.chars().count() > MAX_TEXT) {
                    return Err(Error::field(path(member), format!("It is longer than {MAX_TEXT} characters.")));
                }
                if let Some(problem) = given.as_deref().and_then(text::problem) {
                    return Err(Error::field(path(member), problem));
                }
            }
        }
        Ok(Self(contacts))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.0.iter()
    }
}

/// Enough to find a field that was mistaken for another; only sending mail shows whether it arrives.
fn is_email(given: &str) -> bool {
    let seen = !given.chars().any(char::is_whitespace) && text::unreadable(given).is_none();
    let fits = given.chars().count() <= MAX_TEXT && seen;
    fits && given.split_once('@').is_some_and(|(mailbox, host)| !mailbox.is_empty() && !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(email: &str) -> Contact {
        Contact { email: email.into(), ..Contact::default() }
    }

    #[test]
    fn a_contact_has_an_email_address() {
        assert!(Contacts::new(vec![contact("admin@example.com")]).is_ok());
        for bad in ["", "admin", "@example.com", "admin@", "a b@c", &format!("a@{}", "x".repeat(320))] {
            let error = Contacts::new(vec![contact("a@b"), contact(bad)]).unwrap_err();
            assert!(error.message.contains("contacts[1].email"), "{bad}: {error}");
        }
    }

    #[test]
    fn there_are_not_too_many_contacts_and_there_may_be_none() {
        assert!(Contacts::new(Vec::new()).is_ok());
        assert!(Contacts::new(vec![contact("a@b"); MAX_CONTACTS]).is_ok());
        assert!(Contacts::new(vec![contact("a@b"); MAX_CONTACTS + 1]).is_err());
    }
}
