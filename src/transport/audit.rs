//! One line for each request that changes something: who did what to which object, and how it ended.
//! Lines have the target `certmint::audit`, so that they can be kept apart. Nothing of a body is in them.

use super::listener::ConnectionInfo;
use http::request::Parts;

/// What a request turned out to be about. Texts are empty until they are known.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) principal: String,
    pub(super) vault: String,
    /// Of the certificate or the issuer.
    pub(super) name: String,
    /// The template of a path, or the name of a method; never a text of the caller.
    pub(super) action: &'static str,
}

impl Default for About {
    fn default() -> Self {
        Self { principal: String::new(), vault: String::new(), name: String::new(), action: "none" }
    }
}

impl About {
    /// Writes the line. Requests of nobody leave none: they changed nothing, and anybody can send many.
    pub(super) fn tell(&self, face: &'static str, parts: &Parts, outcome: &str) {
        let connection = parts.extensions.get::<ConnectionInfo>();
        self.tell_of(face, parts.method.as_str(), connection, outcome);
    }

    pub(super) fn tell_of(&self, face: &str, method: &str, connection: Option<&ConnectionInfo>, outcome: &str) {
        let Self { principal, vault, name, action } = self;
        if principal.is_empty() {
            return;
        }
        let (connection, peer) =
            connection.map_or((0, String::new()), |connection| (connection.id, connection.peer.to_string()));
        // A method may be any word of the caller's, but HTTP allows no control characters in it.
        let method = method.get(..20).unwrap_or(method);
        tracing::info!(
            target: "certmint::audit",
            principal, face, method, action, vault, name, outcome, peer, connection, "A caller asked for a change"
        );
    }
}
