//! What a person or another system has to do before an order can continue.

use super::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that the CA waits for and the server cannot do itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub kind: ActionKind,
    /// The owner name of a DNS record, or the address of a file.
    pub name: String,
    /// The text of the record, or the content of the file.
    pub value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ActionKind {
    /// A TXT record is to be published.
    DnsTxt,
    /// A file is to be served.
    HttpFile,
    /// Somebody has to approve at the CA.
    Approval,
    /// The CA has to validate the organization.
    OrganizationValidation,
}
