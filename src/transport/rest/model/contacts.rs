//! The contacts of a vault, in requests and answers.

use super::super::answer::Links;
use crate::domain::{Contact, Contacts, Result};
use serde::{Deserialize, Serialize};

/// `PUT /certificates/contacts`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ContactsBody {
    contacts: Option<Vec<ContactBody>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContactBody {
    email: Option<String>,
    name: Option<String>,
    phone: Option<String>,
}

impl TryFrom<ContactsBody> for Contacts {
    type Error = crate::domain::Error;

    fn try_from(body: ContactsBody) -> Result<Self> {
        let contact = |ContactBody { email, name, phone }| Contact { email: email.unwrap_or_default(), name, phone };
        let contacts = body
            .contacts
            .ok_or_else(|| crate::domain::Error::field("contacts", "It is required: a list, which may be empty."))?;
        Self::new(contacts.into_iter().map(contact).collect())
    }
}

/// The contacts as they are answered.
#[derive(Serialize)]
pub(crate) struct ContactsAnswer<'a> {
    id: String,
    contacts: Vec<&'a Contact>,
}

impl<'a> ContactsAnswer<'a> {
    pub(crate) fn new(contacts: &'a Contacts, links: &Links) -> Self {
        Self { id: links.id("certificates", &["contacts"]), contacts: contacts.iter().collect() }
    }
}
