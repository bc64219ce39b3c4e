//! Two runs of a scenario side by side, with placeholders for values that vary.

use super::api::{Api, Refused, Said, Side, Step};
use super::translated::GRPC_ALONE;
use crate::server::Server;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a comparison saw.
#[derive(Default)]
pub(super) struct Seen {
    /// Members that only the gRPC API returned.
    pub(super) left_out: BTreeSet<&'static str>,
    /// The methods that were compared, and whether they succeeded.
    pub(super) methods: BTreeSet<(String, bool)>,
}

/// Runs a scenario over REST, then over gRPC, and compares everything that was said, member by member. What only the
/// gRPC API told has to be in the list of those members.
pub(super) async fn compare<S, R>(server: &Server, scenario: S) -> Seen
where
    S: AsyncFn(&mut Api<'_>) -> R,
{
    let [mut rest, mut grpc] = Api::both(server).await;
    scenario(&mut rest).await;
    scenario(&mut grpc).await;
    let methods = rest.transcript.iter().map(|step| (step.method.clone(), step.said.is_ok())).collect();
    let (by_rest, by_grpc) = (named(rest.transcript), named(grpc.transcript));
    let steps = by_rest.iter().zip(&by_grpc).enumerate().filter(|(_, (rest, grpc))| rest != grpc);
    let differences =
        steps.map(|(number, (rest, grpc))| format!("step {number}\n  REST: {rest:?}\n  gRPC: {grpc:?}\n"));
    let differences: String = differences.collect();
    assert!(differences.is_empty(), "the APIs differ:\n{differences}");
    assert_eq!(by_rest.len(), by_grpc.len());
    let Side::Grpc(grpc) = grpc.side else { unreachable!("the second API") };
    let left_out = grpc.translation.left_out;
    assert!(left_out.iter().all(|name| GRPC_ALONE.contains(name)), "{left_out:?}");
    Seen { left_out, methods }
}

fn named(all: Vec<Step>) -> Vec<Step> {
    let mut names = Names::default();
    let name = |Step { method, said }| Step { method, said: names.said(said) };
    all.into_iter().map(name).collect()
}

/// Numbers for what is random, by first appearance.
#[derive(Default)]
struct Names {
    ids: Vec<String>,
    contents: Vec<String>,
}

impl Names {
    fn said(&mut self, said: Said) -> Said {
        match said {
            Ok(value) => Ok(self.value("", value)),
            Err(Refused { http, azure, message }) => Err(Refused { http, azure, message: self.text(&message) }),
        }
    }

    /// Puts names in the place of identifiers, times, keys and certificates, and of the vault.
    fn value(&mut self, member: &str, value: Value) -> Value {
        match value {
            Value::Object(mut members) => {
                // A map of the contract is empty or not; REST also tells tags that were emptied from none.
                members.retain(|name, value| name != "tags" || value.as_object().is_some_and(|tags| !tags.is_empty()));
                members.into_iter().map(|(name, value)| (name.clone(), self.value(&name, value))).collect()
            }
            Value::Array(items) => items.into_iter().map(|item| self.value(member, item)).collect(),
            Value::Number(number)
                if matches!(member, "created" | "updated" | "nbf" | "exp" | "deletedDate" | "scheduledPurgeDate") =>
            {
                assert!(number.as_i64().is_some_and(|seconds| seconds > 1_700_000_000), "{member}: {number}");
                format!("<{member}>").into()
            }
            Value::String(text) if matches!(member, "csr" | "cer" | "x5t") => {
                assert!(text.len() > 20, "{member}: {text}");
                format!("<{member} {}>", number(&mut self.contents, &text)).into()
            }
            // Public keys are random too, but for those that were imported; their length is not.
            Value::String(text) if matches!(member, "n" | "x" | "y") => {
                format!("<{} of {member} {}>", text.len(), number(&mut self.contents, &text)).into()
            }
            Value::String(text) => self.text(&text).into(),
            other => other,
        }
    }

    /// A URL under one of the two vaults loses host and `api-version`; an identifier becomes its number.
    fn text(&mut self, text: &str) -> String {
        let text = match text.strip_prefix("https://rest.localhost:").or(text.strip_prefix("https://grpc.localhost:")) {
            Some(rest) => format!("<vault>{}", rest.trim_start_matches(|c: char| c.is_ascii_digit())),
            None => text.replace("the vault rest ", "the vault <> ").replace("the vault grpc ", "the vault <> "),
        };
        // The documented difference of `target`: REST adds the version of the API that the caller used.
        let text = text.trim_end_matches("?api-version=7.4");
        let is_id = |part: &str| part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
        let parts = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(|part| {
            let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if is_id(word) {
                part.replace(word, &format!("<{}>", number(&mut self.ids, word)))
            } else {
                part.to_owned()
            }
        });
        parts.collect()
    }
}

fn number(known: &mut Vec<String>, text: &str) -> usize {
    known.iter().position(|id| id == text).unwrap_or_else(|| {
        known.push(text.to_owned());
        known.len() - 1
    })
}
