//! The state machine of a pending operation. `docs/pending.md` shows it as a diagram and as a table, which the test
//! below compares.

use super::blob::Blob;
use super::policy::IssuerParameters;
use super::{Action, Detail, Renews};
use super::{CertificateName, Error, Reason, RequestId, Result, Timestamp, VaultName, Version};
use serde::{Deserialize, Serialize};

/// The operation that creates a version of a certificate.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    pub vault: VaultName,
    pub certificate: CertificateName,
    pub request_id: RequestId,
    /// The version that it creates.
    pub version: Version,
    pub issuer: IssuerParameters,
    /// PKCS#10, DER.
    pub csr: Blob,
    pub preserve_cert_order: Option<bool>,
    pub cancellation_requested: bool,
    pub state: State,
    /// Rises by one with every change that a caller can see.
    pub revision: u64,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// What it renews; `None` where a caller asked for a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<Renews>,
}

/// Where the operation stands, with what is true only there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// No issuer: a person merges the certificate.
    AwaitingMerge,
    /// The issuer is asked.
    Issuing {
        /// What it said last, if it said something.
        note: Option<String>,
        /// What somebody has to do before it can continue.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        actions: Vec<Action>,
    },
    /// The version exists.
    Completed,
    /// The cancellation took effect.
    Cancelled,
    /// The issuer refused, or could not, or the time ran out.
    Failed { error: OperationError },
}

/// Why an operation failed, in the words of the wire.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct OperationError {
    pub code: String,
    pub message: String,
}

/// The four words that callers know.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Status {
    InProgress,
    Completed,
    Cancelled,
    Failed,
}

impl Status {
    /// The word of the REST wire; clients compare it letter by letter (contract rule 1).
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "inProgress",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// What can happen to an operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A caller wishes it ended.
    CancelRequested,
    /// The issuer, or for a manual one the worker, granted that.
    CancelConfirmed,
    /// The issuer has a new status message, or none any more; and what it waits for.
    Noted(Option<String>, Vec<Action>),
    /// The issuer signed.
    Issued,
    /// The issuer refused, or the deadline passed.
    Failed(OperationError),
    /// A caller brought the certificate.
    Merged,
}

/// An event of the log; it contains the full operation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    pub kind: TransitionKind,
    /// After it; before it for `Deleted` and `Overwritten`.
    pub operation: Operation,
    /// Before it; none for `Created`.
    pub previous: Option<Status>,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum TransitionKind {
    Created,
    Updated,
    Deleted,
    Overwritten,
}

impl Transition {
    /// The end of an operation's existence. It counts as a change, so it has a revision above every
    /// state that was seen.
    pub fn gone(kind: TransitionKind, operation: Operation, at: Timestamp) -> Self {
        let previous = Some(operation.status());
        Self { kind, operation: Operation { revision: operation.revision + 1, ..operation }, previous, at }
    }
}

const MANUAL_DETAILS: &str = "Pending certificate created. Please Perform Merge to complete the request.";
const ISSUING_DETAILS: &str = "Pending certificate created. Certificate request is in progress. This may take some time based on the issuer provider. Please check again later";

impl Operation {
    pub fn status(&self) -> Status {
        match self.state {
            State::AwaitingMerge | State::Issuing { .. } => Status::InProgress,
            State::Completed => Status::Completed,
            State::Cancelled => Status::Cancelled,
            State::Failed { .. } => Status::Failed,
        }
    }

    /// What somebody has to do before the issuer can continue.
    pub fn actions(&self) -> &[Action] {
        match &self.state {
            State::Issuing { actions, .. } => actions,
            State::AwaitingMerge | State::Completed | State::Cancelled | State::Failed { .. } => &[],
        }
    }

    pub fn in_progress(&self) -> bool {
        self.status() == Status::InProgress
    }

    /// `status_details` of the wire: a sentence while in progress, empty once cancelled or failed,
    /// absent when completed.
    pub fn status_details(&self) -> Option<String> {
        match &self.state {
            State::AwaitingMerge => Some(MANUAL_DETAILS.to_owned()),
            State::Issuing { note: None, .. } => Some(ISSUING_DETAILS.to_owned()),
            State::Issuing { note: Some(note), .. } => Some(format!("{ISSUING_DETAILS}. {note}")),
            State::Completed => None,
            State::Cancelled | State::Failed { .. } => Some(String::new()),
        }
    }

    pub fn error(&self) -> Option<&OperationError> {
        match &self.state {
            State::Failed { error } => Some(error),
            _ => None,
        }
    }

    /// The state in which an operation of this issuer begins.
    pub fn initial_state(issuer: &IssuerParameters) -> State {
        if issuer.is_manual() { State::AwaitingMerge } else { State::Issuing { note: None, actions: Vec::new() } }
    }

    /// The operation as its creation answered it, whatever happened since: what a repeat of the
    /// creation is returned (a 202 always has `inProgress`, contract rule 2).
    #[must_use]
    pub fn as_created(&self) -> Self {
        Self {
            state: Self::initial_state(&self.issuer),
            cancellation_requested: false,
            revision: 1,
            updated: self.created,
            ..self.clone()
        }
    }

    /// The operation after `event`, or why that is not possible. An event that changes nothing
    /// answers the operation as it is, with the same revision.
    pub fn apply(self, event: Event, now: Timestamp) -> Result<Self> {
        use {Event as E, State as S};
        let mut cancellation_requested = self.cancellation_requested;
        let state = match (self.state.clone(), event) {
            (state @ (S::AwaitingMerge | S::Issuing { .. }), E::CancelRequested) => {
                cancellation_requested = true;
                state
            }
            (S::AwaitingMerge | S::Issuing { .. }, E::CancelConfirmed) if cancellation_requested => S::Cancelled,
            (S::Issuing { .. }, E::Noted(note, actions)) => S::Issuing { note, actions },
            (S::Issuing { .. }, E::Issued) => S::Completed,
            (S::Issuing { .. }, E::Failed(error)) => S::Failed { error },
            (S::AwaitingMerge | S::Failed { .. } | S::Cancelled, E::Merged) => S::Completed,
            (S::Issuing { .. }, E::Merged) => return Err(self.merge_forbidden()),
            (_, event) => return Err(self.refused(&event)),
        };
        if state == self.state && cancellation_requested == self.cancellation_requested {
            return Ok(self);
        }
        Ok(Self { state, cancellation_requested, revision: self.revision + 1, updated: now, ..self })
    }

    fn precondition(&self, kind: &'static str) -> Detail {
        Detail::Precondition {
            kind,
            subject: self.certificate.to_string(),
            description: format!("request_id {} is {}", self.request_id, self.status().word()),
        }
    }

    fn merge_forbidden(&self) -> Error {
        // The wording, "progess" included, is the documented one (scenario 7).
        let message = format!(
            "Merge is forbidden on pending object created with issuer : {} while it is in progess.",
            self.issuer.name
        );
        Error::new(Reason::MergeForbidden, message).with(self.precondition("MERGE_FORBIDDEN"))
    }

    /// The refusal of an event that is not possible now.
    pub fn refused(&self, event: &Event) -> Error {
        let message = match event {
            Event::CancelRequested => "Pending status must be in progress to allow update.".to_owned(),
            Event::Merged => format!(
                "The pending certificate {} is completed: there is nothing to merge into. Create a new version first.",
                self.certificate
            ),
            _ => format!("This is not possible while the pending certificate is {}.", self.status().word()),
        };
        Error::new(Reason::PendingNotInProgress, message).with(self.precondition("PENDING_NOT_IN_PROGRESS"))
    }

    /// The refusal of a create or an import while this operation is in progress (scenario 6).
    pub fn conflict(&self) -> Error {
        Error::new(
            Reason::PendingInProgress,
            "A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress.",
        )
        .with(Detail::Resource { kind: "pending", name: self.certificate.to_string() })
        .with(self.precondition("PENDING_IN_PROGRESS"))
        .with(Detail::Fact { key: "requestId", value: self.request_id.to_string() })
    }
}

/// The error if there is no pending operation, or another one than requested (scenario 5).
pub fn not_found(name: &CertificateName) -> Error {
    Error::new(Reason::PendingNotFound, format!("Pending certificate not found: {name}"))
        .with(Detail::Resource { kind: "pending", name: name.to_string() })
}

/// The same for a merge, for which Key Vault spells it differently (contract section 9).
pub fn not_found_to_merge(name: &CertificateName) -> Error {
    Error { message: format!("Pending Certificate not found: {name}"), ..not_found(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuing() -> State {
        State::Issuing { note: None, actions: Vec::new() }
    }

    fn operation(state: State, cancellation_requested: bool) -> Operation {
        Operation {
            vault: VaultName::default_vault(),
            certificate: CertificateName::parse("mycert1").unwrap(),
            request_id: RequestId::parse("a76827a18b63421c917da80f28e9913d").unwrap(),
            version: Version::parse("b76827a18b63421c917da80f28e9913d").unwrap(),
            issuer: IssuerParameters {
                name: "mydigicert".into(),
                certificate_type: None,
                certificate_transparency: None,
            },
            csr: Blob::default(),
            preserve_cert_order: None,
            cancellation_requested,
            state,
            revision: 1,
            created: Timestamp(0),
            updated: Timestamp(0),
            renews: None,
        }
    }

    fn error() -> OperationError {
        OperationError { code: "c".into(), message: "m".into() }
    }

    fn states() -> Vec<(&'static str, Operation)> {
        vec![
            ("awaiting merge", operation(State::AwaitingMerge, false)),
            ("awaiting merge, cancel requested", operation(State::AwaitingMerge, true)),
            ("issuing", operation(issuing(), false)),
            ("issuing, cancel requested", operation(issuing(), true)),
            ("completed", operation(State::Completed, false)),
            ("cancelled", operation(State::Cancelled, true)),
            ("failed", operation(State::Failed { error: error() }, false)),
        ]
    }

    fn events() -> Vec<(char, Event)> {
        vec![
            ('R', Event::CancelRequested),
            ('K', Event::CancelConfirmed),
            ('N', Event::Noted(Some("n".into()), Vec::new())),
            ('I', Event::Issued),
            ('F', Event::Failed(error())),
            ('M', Event::Merged),
        ]
    }

    /// The whole machine on one screen. Rows are states, columns are cancel Requested, cancel
    /// Konfirmed, Noted, Issued, Failed, Merged; `p` in progress, `C` completed, `X` cancelled,
    /// `F` failed, `=` allowed and nothing changes, `3` merge forbidden, `.` refused.
    #[test]
    fn every_state_decides_every_event() {
        let mut table = String::new();
        for (name, before) in states() {
            let row: String = events()
                .into_iter()
                .map(|(_, event)| match before.clone().apply(event, Timestamp(1)) {
                    Ok(after) if after == before => '=',
                    Ok(after) => {
                        assert_eq!(after.revision, before.revision + 1, "every visible change has a new revision");
                        match after.status() {
                            Status::InProgress => 'p',
                            Status::Completed => 'C',
                            Status::Cancelled => 'X',
                            Status::Failed => 'F',
                        }
                    }
                    Err(error) if error.reason == Reason::MergeForbidden => '3',
                    Err(_) => '.',
                })
                .collect();
            table.push_str(&format!("{row} {name}\n"));
        }
        println!("RKNIFM\n{table}");
        let document = include_str!("../../docs/pending.md");
        let documented = document.split("RKNIFM\n").nth(1).and_then(|rest| rest.split("```").next());
        assert_eq!(documented, Some(table.as_str()));
    }

    #[test]
    fn the_texts_are_the_documented_ones() {
        let issuing = operation(issuing(), false);
        assert_eq!(issuing.status_details().as_deref(), Some(ISSUING_DETAILS));
        assert_eq!(
            issuing.clone().apply(Event::Merged, Timestamp(0)).unwrap_err().message,
            "Merge is forbidden on pending object created with issuer : mydigicert while it is in progess."
        );
        assert_eq!(operation(State::Completed, false).status_details(), None);
        assert_eq!(operation(State::Failed { error: error() }, false).status_details().as_deref(), Some(""));
    }
}
