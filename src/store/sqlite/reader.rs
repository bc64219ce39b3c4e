//! The read statements.

use super::schema::{META, Meta};
use crate::domain::Timestamp;
use crate::store::common::{end_of_prefix, first_of_list, integer, revision};
use crate::store::{Event, EventPage, Record, Revision};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

const GET: &str = "\
-- get
SELECT key, revision, due, body FROM records WHERE key = ?1";

const LIST: &str = "\
-- list
SELECT key, revision, due, body FROM records WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3";

const EVENTS: &str = "\
-- events
SELECT revision, body FROM events WHERE revision > ?1 ORDER BY revision LIMIT ?2";

pub(super) fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<Record>> {
    connection.prepare_cached(GET)?.query_row([key], record).optional()
}

/// All of one snapshot.
pub(super) fn get_many(connection: &Connection, keys: &[String]) -> rusqlite::Result<Vec<Option<Record>>> {
    let snapshot = connection.unchecked_transaction()?;
    let mut statement = snapshot.prepare_cached(GET)?;
    keys.iter().map(|key| statement.query_row([key], record).optional()).collect()
}

pub(super) fn list(connection: &Connection, prefix: &str, after: &str, limit: usize) -> rusqlite::Result<Vec<Record>> {
    let from = first_of_list(prefix, after);
    // In SQLite every text is below every blob, so an empty blob stands for "no end".
    let end = end_of_prefix(prefix).map_or(Value::Blob(Vec::new()), Value::Text);
    let mut statement = connection.prepare_cached(LIST)?;
    statement.query_map(params![from, end, integer(limit)], record)?.collect()
}

/// Page, `trimmed` and `head` of one snapshot.
pub(super) fn events(connection: &Connection, after: Revision, limit: usize) -> rusqlite::Result<EventPage> {
    let snapshot = connection.unchecked_transaction()?;
    let meta = snapshot.prepare_cached(META)?.query_row([], Meta::of)?;
    let events = snapshot
        .prepare_cached(EVENTS)?
        .query_map(params![integer(after), integer(limit)], |row| {
            Ok(Event { revision: revision(row.get(0)?), body: row.get_ref(1)?.as_bytes()?.to_vec() })
        })?
        .collect::<Result<_, _>>()?;
    Ok(EventPage { events, trimmed: revision(meta.trimmed), head: revision(meta.head) })
}

/// A row of (key, revision, due, body).
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        key: row.get(0)?,
        revision: revision(row.get(1)?),
        due: row.get::<_, Option<i64>>(2)?.map(Timestamp),
        body: row.get_ref(3)?.as_bytes()?.to_vec(),
    })
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
