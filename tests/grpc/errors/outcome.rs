//! A case and its outcome.
#![expect(clippy::disallowed_types, reason = "a client sees tonic::Status")]

use super::table;
use crate::raw::Answer;
use crate::refusal::{self, status_of};
use crate::rest::Reply;
use tonic::Status;

/// What an input got.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Accepted,
    Refused {
        /// Over REST.
        status: Option<u16>,
        /// The Azure code over REST, the reason over gRPC.
        code: String,
        message: String,
    },
}

/// The inputs of one row.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) rest: Vec<Outcome>,
    pub(super) grpc: Vec<Outcome>,
}

impl Tried {
    pub(super) fn rest(&mut self, reply: &Reply) {
        self.rest.push(if (200..300).contains(&reply.status) {
            Outcome::Accepted
        } else {
            let (code, message) = reply.error();
            Outcome::Refused { status: Some(reply.status), code, message }
        });
    }

    pub(super) fn grpc<T>(&mut self, answer: Result<T, Status>) {
        self.grpc.push(match answer {
            Ok(_) => Outcome::Accepted,
            Err(status) => refused(&status),
        });
    }

    /// An answer that came without a library.
    pub(super) fn raw(&mut self, answer: &Answer) {
        self.grpc.push(if answer.code() == 0 { Outcome::Accepted } else { refused(&status_of(answer)) });
    }
}

/// The reason, after a look at the first table of the page: code, HTTP status and Azure code are there.
fn refused(status: &Status) -> Outcome {
    let (reason, http, azure) = refusal::common(status);
    let page = table::reasons();
    let code = format!("{:?}", status.code()).chars().fold(String::new(), |mut name, c| {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
        name
    });
    assert_eq!(page.get(&reason), Some(&(code, http, azure)), "docs/errors.md: {reason}");
    Outcome::Refused { status: None, code: reason, message: status.message().to_owned() }
}
