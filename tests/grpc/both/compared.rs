//! Two runs of a scenario beside each other, with names in the place of what no test can know.

use super::face::{Face, Said};
use super::translated::GRPC_ALONE;
use crate::server::Server;
use serde_json::Value;
use std::collections::BTreeSet;

/// Runs a scenario over REST, then over gRPC, and compares what was said member by member. What
/// only the gRPC face told has to be in the list of those members; answers which they were.
pub(super) async fn compare<S>(server: &Server, scenario: S) -> BTreeSet<&'static str>
where
    S: AsyncFn(&mut Face<'_>) -> Vec<Said>,
{
    let [mut rest, mut grpc] = Face::both(server).await;
    let (by_rest, by_grpc) = (named(scenario(&mut rest).await), named(scenario(&mut grpc).await));
    assert_eq!(by_rest.len(), by_grpc.len());
    for (step, (rest, grpc)) in by_rest.iter().zip(&by_grpc).enumerate() {
        assert_eq!(rest, grpc, "step {step}: REST said the first, gRPC the second");
    }
    let Face::Grpc(grpc) = grpc else { unreachable!("the second face") };
    let left_out = grpc.translation.left_out;
    assert!(left_out.iter().all(|name| GRPC_ALONE.contains(name)), "{left_out:?}");
    left_out
}

fn named(all: Vec<Said>) -> Vec<Said> {
    let mut ids = Vec::new();
    all.into_iter().map(|said| said.map(|value| rename("", value, &mut ids))).collect()
}

/// Puts names in the place of identifiers, times, keys and certificates, and of the vault.
fn rename(member: &str, value: Value, ids: &mut Vec<String>) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name.clone(), rename(&name, value, ids))).collect()
        }
        Value::Array(items) => items.into_iter().map(|item| rename(member, item, ids)).collect(),
        Value::Number(number) if matches!(member, "created" | "updated" | "nbf" | "exp") => {
            assert!(number.as_i64().is_some_and(|seconds| seconds > 1_700_000_000), "{member}: {number}");
            format!("<{member}>").into()
        }
        Value::String(text) if matches!(member, "csr" | "cer" | "x5t") => {
            assert!(text.len() > 20, "{member}: {text}");
            format!("<{member}>").into()
        }
        Value::String(text) => text_named(&text, ids).into(),
        other => other,
    }
}

/// A URL under one of the two vaults loses host and `api-version`; an identifier becomes its number.
fn text_named(text: &str, ids: &mut Vec<String>) -> String {
    let text = match text.strip_prefix("https://rest.localhost:").or(text.strip_prefix("https://grpc.localhost:")) {
        Some(rest) => format!("<vault>{}", rest.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => text.to_owned(),
    };
    // The documented difference of `target`: REST adds the version of the API that the caller used.
    let text = text.trim_end_matches("?api-version=7.4");
    let parts = text.split('/').map(|part| {
        if part.len() != 32 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
            return part.to_owned();
        }
        let known = ids.iter().position(|id| id == part).unwrap_or_else(|| {
            ids.push(part.to_owned());
            ids.len() - 1
        });
        format!("<{known}>")
    });
    parts.collect::<Vec<_>>().join("/")
}
