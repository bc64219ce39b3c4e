//! What the decision on one request costs, with few and with very many grants, and what it costs a poll.

use crate::Times;
use crate::reads;
use crate::support::{Failure, Row, Server};
use certmint::domain::access::{Asked, Grant, GrantInput, NameAsked, Roles, Source, Table, VaultAsked, decide};
use certmint::domain::{DataAction, Timestamp, VaultName};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// Decisions of one measurement.
const DECISIONS: u32 = 200_000;

/// Three grants of the caller, among this many of others.
pub(crate) fn decisions() -> Result<Row, Failure> {
    let cells: Result<Vec<String>, Failure> =
        [10, 1_000, 100_000].into_iter().map(|grants| Ok(format!("{grants} grants: {}", each(grants)?))).collect();
    Ok(Row::text("one decision on a request", cells?.join(", "), "≤ 1 µs"))
}

fn each(grants: usize) -> Result<String, Failure> {
    let roles = Roles::default();
    let grant = |principal: String, names: &str| {
        let input = GrantInput {
            principal,
            role: "Key Vault Certificates Officer".to_owned(),
            vault: "default".to_owned(),
            names: Some(vec![names.to_owned()]),
            ..GrantInput::default()
        };
        Grant::parse(&input, "bench".to_owned(), Source::File, &roles).map(Arc::new)
    };
    let own = ["api-*", "web-*", "shop-*"].map(|names| grant("token:bench".to_owned(), names));
    let others = (own.len()..grants).map(|number| grant(format!("token:{}", number / 3), "other-*"));
    let all: Result<Vec<_>, _> = own.into_iter().chain(others).collect();
    let table = Table::new(all?);
    let vault = VaultName::default_vault();
    let asked = Asked {
        action: DataAction::CertificatesRead,
        vault: VaultAsked::One(&vault),
        name: NameAsked::One("shop-web"),
    };
    let begun = Instant::now();
    for _ in 0..DECISIONS {
        let held = table.held([black_box("token:bench")]);
        let allowed = held.is_some_and(|held| decide(held.iter(), black_box(&asked), Timestamp(0)).is_some());
        if !black_box(allowed) {
            return Err("a decision of the measurement is wrong".into());
        }
    }
    Ok(format!("{} ns", begun.elapsed().as_nanos() / u128::from(DECISIONS)))
}

/// A poll of a caller with a token and a grant, among a thousand grants, beside one of a server that checks neither.
pub(crate) async fn poll(times: Times) -> Result<Row, Failure> {
    let own = "[[grant]]\nprincipal = \"token:bench\"\nrole = \"certmint Requester\"\nvault = \"default\"\n";
    let other = |number: usize| format!("{}names = [\"other-*\"]\n", own.replace("bench", &format!("n-{number}")));
    let grants: String = std::iter::once(own.to_owned()).chain((1..1_000).map(other)).collect();
    let (checked, open) = (Server::guarded(&grants)?, Server::fresh()?);
    let what = "(q) GET pending with a token and 1,000 grants: REST, TLS, 64 connections".to_owned();
    let (checked_run, open_run) = reads::polls(&checked, &open, times).await?;
    Ok(Row::of_runs(what, &checked_run, "development mode", &open_run, "rate at least 0.95x"))
}
