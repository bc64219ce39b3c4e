//! What a record of the audit ledger says of a request, or of work of the service itself.

use crate::domain::text::readable;
use serde::{Deserialize, Serialize};

/// Names that one record lists, at most.
const MAX_NAMES: usize = 100;
/// The same of a refusal, of which there may be many.
const MAX_NAMES_REFUSED: usize = 10;
/// Characters of a name.
const MAX_NAME: usize = 256;

/// Empty texts are left out of the record. Never in here: credentials, what is derived from them, bodies, secrets.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Who asked; `certmint` for the service itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub principal: String,
    /// How he proved it: `token`, `jwt`, `client`, `spiffe`, `x509`, `dev`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth: String,
    /// Whom the client certificate of the connection names, where a token says who asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificate: String,
    /// The address of the other end of the connection; of counted requests without its port.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub peer: String,
    /// `grpc`, `rest`, or `service`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub face: String,
    /// The data action that was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The method of the contract (`certmint.v1.SecretService/GetSecret`); of a route without one its verb and its
    /// template; of work of the service what it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vault: String,
    /// Of the certificate or the issuer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Of a secret or a key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Of the pending operation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// `allow`, `deny`, `would_deny`; empty where nobody is checked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// The id of the grant that allowed it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub grant: String,
    /// HTTP status or gRPC code; of a change what became of it: `done`, or the transition of the operation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// Whether the secret that was read had the private key in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_key: Option<bool>,
    /// The names that were asked for in a certificate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The issuer that was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// Of a grant or a role what it allows whom, of a revocation the serial number and the reason.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What the client calls its request, cut to 100 characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_request_id: String,
}

impl Facts {
    /// The names of a certificate; of very many the first ones, and how many more there are.
    pub(in crate::service) fn list(&mut self, names: impl Iterator<Item = String>) {
        self.names = cut(names, MAX_NAMES);
    }

    /// Makes it short, as that of a refusal.
    pub(super) fn shorten(&mut self) {
        self.names = cut(std::mem::take(&mut self.names).into_iter(), MAX_NAMES_REFUSED);
    }
}

fn cut(mut names: impl Iterator<Item = String>, most: usize) -> Vec<String> {
    let mut cut: Vec<String> = names.by_ref().take(most).map(|name| readable(&name, MAX_NAME)).collect();
    let more = names.count();
    if more > 0 {
        cut.push(format!("({more} more)"));
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_many_names_are_cut() {
        let mut facts = Facts::default();
        facts.list((0..250).map(|number| format!("{number}.example")));
        assert_eq!((facts.names.len(), facts.names[100].as_str()), (101, "(150 more)"));
        facts.shorten();
        assert_eq!((facts.names.len(), facts.names[10].as_str()), (11, "(91 more)"));
        facts.list(["a.example".to_owned(), "x".repeat(1000)].into_iter());
        assert_eq!((facts.names[0].as_str(), facts.names[1].len()), ("a.example", 256));
    }
}
