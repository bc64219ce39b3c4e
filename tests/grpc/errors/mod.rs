//! Every row of the tables of bad input in `docs/errors.md`, over both views of a running server.
//! The page is the specification: a row without a case fails, and so does a case without a row.

mod bodies;
mod chains;
mod imports;
mod managed;
mod names;
mod outcome;
mod own_requests;
mod policies;
mod states;
mod streams;
mod table;

use crate::server::Server;
use futures_util::future::BoxFuture;
use outcome::Tried;
use std::collections::BTreeMap;

/// What plays a row on a server that nobody else uses.
type Play = for<'a> fn(&'a Server) -> BoxFuture<'a, Tried>;

/// The inputs that somebody plays, by the text of their row.
fn cases() -> BTreeMap<&'static str, Play> {
    let all = [
        bodies::CASES,
        names::CASES,
        policies::CASES,
        chains::CASES,
        states::CASES,
        streams::CASES,
        imports::CASES,
        managed::CASES,
        own_requests::CASES,
    ];
    let mut cases = BTreeMap::new();
    for (row, play) in all.into_iter().flatten() {
        assert!(cases.insert(*row, *play).is_none(), "two cases for: {row}");
    }
    cases
}

#[tokio::test]
async fn every_row_of_the_page_is_what_the_server_answers() {
    let mut cases = cases();
    let mut wrong = Vec::new();
    for row in table::rows() {
        let Some(play) = cases.remove(row.input.as_str()) else {
            wrong.push(format!("no case plays this row: {}", row.input));
            continue;
        };
        let server = Server::limited(streams::limits()).await;
        let Tried { rest, grpc } = play(&server).await;
        for (api, cell, tried) in [("REST", &row.rest, rest), ("gRPC", &row.grpc, grpc)] {
            if let Err(problem) = cell.check(&tried) {
                wrong.push(format!("{} over {api}: {problem}", row.input));
            }
        }
    }
    wrong.extend(cases.keys().map(|row| format!("no row of the page for the case: {row}")));
    assert!(wrong.is_empty(), "docs/errors.md:\n{}", wrong.join("\n"));
}
