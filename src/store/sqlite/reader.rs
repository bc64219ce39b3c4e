//! The read statements.

use super::schema::{META, Meta};
use crate::domain::Timestamp;
use crate::store::common::{end_of_prefix, first_of_list, integer, revision};
use crate::store::{Event, EventPage, Record, Revision};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, Row, Statement, params};
use std::sync::Once;

const GET: &str = "\
-- get
SELECT key, revision, due, body FROM records WHERE key = ?1";

const LIST: &str = "\
-- list
SELECT key, revision, due, body FROM records WHERE key >= ?1 AND key < ?2 ORDER BY key";

const EVENTS: &str = "\
-- events
SELECT revision, body FROM events WHERE revision > ?1 ORDER BY revision LIMIT ?2";

pub(super) fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<Record>> {
    Ok(connection.prepare_cached(GET)?.query_row([key], record).optional()?.flatten())
}

/// All of one snapshot.
pub(super) fn get_many(connection: &Connection, keys: &[String]) -> rusqlite::Result<Vec<Option<Record>>> {
    let snapshot = connection.unchecked_transaction()?;
    let mut statement = snapshot.prepare_cached(GET)?;
    keys.iter().map(|key| Ok(statement.query_row([key], record).optional()?.flatten())).collect()
}

pub(super) fn list(connection: &Connection, prefix: &str, after: &str, limit: usize) -> rusqlite::Result<Vec<Record>> {
    let from = first_of_list(prefix, after);
    // In SQLite every text is below every blob, so an empty blob stands for "no end".
    let end = end_of_prefix(prefix).map_or(Value::Blob(Vec::new()), Value::Text);
    let mut statement = connection.prepare_cached(LIST)?;
    records(&mut statement, params![from, end], limit)
}

/// Page, `trimmed` and `head` of one snapshot.
pub(super) fn events(connection: &Connection, after: Revision, limit: usize) -> rusqlite::Result<EventPage> {
    let snapshot = connection.unchecked_transaction()?;
    let meta = snapshot.prepare_cached(META)?.query_row([], Meta::of)?;
    let events = snapshot
        .prepare_cached(EVENTS)?
        .query_map(params![integer(after), integer(limit)], |row| {
            Ok(Event { revision: revision(row.get(0)?), body: bytes(row.get_ref(1)?) })
        })?
        .collect::<Result<_, _>>()?;
    Ok(EventPage { events, trimmed: revision(meta.trimmed), head: revision(meta.head) })
}

/// The first `limit` records that a statement finds, which is stepped no further than that.
pub(super) fn records(
    statement: &mut Statement<'_>,
    parameters: impl Params,
    limit: usize,
) -> rusqlite::Result<Vec<Record>> {
    statement.query_map(parameters, record)?.filter_map(Result::transpose).take(limit).collect()
}

/// A row of (key, revision, due, body); `None` where its key is no text, which nobody can have asked for.
fn record(row: &Row<'_>) -> rusqlite::Result<Option<Record>> {
    let Ok(Ok(key)) = row.get_ref(0)?.as_bytes().map(std::str::from_utf8) else {
        static LOGGED: Once = Once::new();
        LOGGED
            .call_once(|| tracing::error!("a row of the table records has a key that is not UTF-8: it is passed over"));
        return Ok(None);
    };
    Ok(Some(Record {
        key: key.to_owned(),
        revision: revision(row.get(1)?),
        due: row.get::<_, Option<i64>>(2)?.map(Timestamp),
        body: bytes(row.get_ref(3)?),
    }))
}

/// A body is text or a blob. What else somebody puts there is nothing that could be read: it is refused with its own
/// record, and the others of a list or a transaction are as they were.
fn bytes(body: ValueRef<'_>) -> Vec<u8> {
    match body {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => Vec::new(),
    }
}

/// Text where it is text, so that an operator can read it and use the JSON functions of SQLite.
pub(super) fn text_or_blob(body: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(if std::str::from_utf8(body).is_ok() { ValueRef::Text(body) } else { ValueRef::Blob(body) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::{schema, writer};

    #[test]
    fn no_statement_walks_over_a_table_or_sorts() {
        let (connection, ..) = schema::open_in_memory().unwrap();
        for sql in [GET, LIST, EVENTS, META].into_iter().chain(writer::STATEMENTS.iter().copied()) {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            for number in 1..=plan.parameter_count() {
                plan.raw_bind_parameter(number, 1).unwrap();
            }
            let mut rows = plan.raw_query();
            while let Some(row) = rows.next().unwrap() {
                let step: String = row.get(3).unwrap();
                let first_of_log = step == "SCAN events" && sql.contains("ORDER BY revision LIMIT");
                assert!(first_of_log || !step.contains("SCAN") && !step.contains("TEMP B-TREE"), "{step} in {sql}");
            }
        }
    }
}
