//! The tables, their migrations, and the check that a database belongs to certmint.

use super::connect::Session;
use super::error::Fault;
use crate::store::counter::{self, FAR};
use tokio_postgres::Client;

/// The first of the two numbers of our advisory locks: "CMNT".
macro_rules! lock_class {
    () => {
        "1129139796"
    };
}

/// Held by every writer from the moment it takes a revision to the end of its transaction. The second
/// number is the lock: 1 for revisions, 2 for migrations.
pub(super) const LOCK_REVISIONS: &str =
    concat!("-- lock_revisions\nSELECT FROM pg_advisory_xact_lock(", lock_class!(), ", 1)");

const LOCK_SCHEMA: &str = concat!("-- lock_schema\nSELECT FROM pg_advisory_xact_lock(", lock_class!(), ", 2)");

/// One step from a version of the schema to the next. A step that was released is never edited.
struct Migration {
    /// The oldest schema that a program has to know to work with the result. It stays behind where the step
    /// only adds, so that replicas of the version before can go on beside those of the new one.
    needs: i32,
    sql: &'static str,
}

/// Schema version n is reached by the first n steps.
///
/// `certmint` holds one row and changes seldom; its name says whose database this is. `commits` has a row for
/// each transaction instead of a counter that is updated: beside somebody's long transaction each version of a
/// counter would have to be kept and walked over, while the highest key of an index is found at once.
const MIGRATIONS: &[Migration] = &[Migration {
    needs: 1,
    sql: r#"
    CREATE TABLE records (
        key      text COLLATE "C" PRIMARY KEY,
        revision bigint NOT NULL,
        due      bigint,
        body     bytea NOT NULL
    );
    CREATE INDEX records_due ON records (due, key) WHERE due IS NOT NULL;
    CREATE TABLE events (
        revision bigint PRIMARY KEY,
        at       bigint NOT NULL,
        body     bytea NOT NULL
    );
    CREATE TABLE commits (
        head  bigint PRIMARY KEY,
        token uuid NOT NULL,
        at    timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE TABLE certmint (
        id      integer PRIMARY KEY CHECK (id = 1),
        version integer NOT NULL,
        needs   integer NOT NULL,
        epoch   text NOT NULL,
        trimmed bigint NOT NULL
    );
    CREATE VIEW readable_records AS
        SELECT key, revision, to_timestamp(due / 1000.0) AS due,
               CASE WHEN substr(body, 1, 1) = '{' THEN convert_from(body, 'UTF8')::json END AS body
        FROM records;
    CREATE VIEW readable_events AS
        SELECT revision, to_timestamp(at / 1000.0) AS at,
               CASE WHEN substr(body, 1, 1) = '{' THEN convert_from(body, 'UTF8')::json END AS body
        FROM events;
    INSERT INTO certmint VALUES (1, 0, 0, replace(gen_random_uuid()::text, '-', ''), 0);
    INSERT INTO commits VALUES (0, gen_random_uuid());
    "#,
}];

/// `server_version_num` of PostgreSQL 15.0.
const OLDEST: i32 = 150_000;

const SERVER: &str = "\
-- server
SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_database()::text,
       current_setting('server_encoding'), current_setting('fsync') = 'on'";

/// Reads the catalogue: `to_regclass` answers from what the session knew before it waited for the lock.
const OURS: &str = "\
-- ours
SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'certmint' AND relnamespace = current_schema()::regnamespace)";

const VERSION: &str = "\
-- version
SELECT version, needs FROM certmint WHERE id = 1";

/// Tables that somebody else made; those of an extension belong to no program.
const STRANGERS: &str = "\
-- strangers
SELECT coalesce(string_agg(relname, ', ' ORDER BY relname), '') FROM (
    SELECT relname::text FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
    ORDER BY relname LIMIT 5
) AS strangers";

const SAVE_VERSION: &str = "\
-- save_version
UPDATE certmint SET version = $1, needs = $2 WHERE id = 1";

const RENEW_EPOCH: &str = "\
-- renew_epoch
UPDATE certmint SET epoch = replace(gen_random_uuid()::text, '-', '') WHERE id = 1 RETURNING epoch";

/// Both as of one moment: replicas may write.
const COUNTER: &str = "\
-- counter
SELECT (SELECT max(head) FROM commits), (SELECT max(revision) FROM events)";

const FORGET_FAR: &str = "\
-- forget_far
DELETE FROM commits WHERE head >= $1";

const MEND_HEAD: &str = "\
-- mend_head
INSERT INTO commits (head, token)
SELECT newest.revision, gen_random_uuid() FROM (SELECT greatest(
    0,
    (SELECT max(revision) FROM events WHERE revision < $1),
    (SELECT max(revision) FROM records WHERE revision < $1)
) AS revision) AS newest
WHERE NOT EXISTS (SELECT FROM commits WHERE head >= newest.revision)";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    LOCK_REVISIONS,
    LOCK_SCHEMA,
    SERVER,
    OURS,
    VERSION,
    STRANGERS,
    SAVE_VERSION,
    RENEW_EPOCH,
    COUNTER,
    FORGET_FAR,
    MEND_HEAD,
];

/// Checks the server and the tables, and brings these up to date where `migrate` allows it. Returns the
/// version of the schema.
pub(super) async fn prepare(session: &Session, migrate: bool) -> Result<i32, Fault> {
    let client = &session.client;
    let database = check_server(client).await?;
    client
        .batch_execute("-- begin_migration\nBEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'")
        .await?;
    let done = prepare_locked(client, &database, migrate).await;
    let end = if done.is_ok() { "-- end_migration\nCOMMIT" } else { "-- leave_migration\nROLLBACK" };
    let ended = client.batch_execute(end).await;
    let version = done?;
    ended?;
    Ok(version)
}

/// Gives the database a new epoch: tokens of clients that saw more than a backup holds are refused after that. A counter
/// that cannot be believed is set to the newest event or record.
pub(super) async fn renew_epoch(client: &Client) -> Result<String, Fault> {
    client.execute(FORGET_FAR, &[&FAR]).await?;
    client.execute(MEND_HEAD, &[&FAR]).await?;
    Ok(client.query_one(RENEW_EPOCH, &[]).await?.try_get(0)?)
}

/// Refuses a counter that was changed, before anything is counted on with it.
pub(super) async fn check_counter(client: &Client) -> Result<(), Fault> {
    let row = client.query_one(COUNTER, &[]).await?;
    Ok(counter::check(row.try_get(0)?, row.try_get(1)?)?)
}

async fn check_server(client: &Client) -> Result<String, Fault> {
    let row = client.query_one(SERVER, &[]).await?;
    refuse_old(row.try_get(0)?, row.try_get(1)?)?;
    let (database, encoding): (String, String) = (row.try_get(2)?, row.try_get(3)?);
    if encoding != "UTF8" {
        return Err(Fault::Encoding { database, found: encoding });
    }
    if !row.try_get::<_, bool>(4)? {
        tracing::warn!("the database runs with fsync = off: a crash of its machine may lose acknowledged writes");
    }
    Ok(database)
}

/// Whether the release is one that is tested, by its `server_version_num`. Called before any table is made or read.
fn refuse_old(number: i32, found: String) -> Result<(), Fault> {
    if number < OLDEST { Err(Fault::TooOld { found }) } else { Ok(()) }
}

async fn prepare_locked(client: &Client, database: &str, migrate: bool) -> Result<i32, Fault> {
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    // A role that may only read and write rows takes the lock too: whoever starts now waits for whoever migrates.
    client.query(LOCK_SCHEMA, &[]).await?;
    let ours: bool = client.query_one(OURS, &[]).await?.try_get(0)?;
    let (version, needs) = if ours {
        let row = client.query_one(VERSION, &[]).await?;
        (row.try_get::<_, i32>(0)?, row.try_get::<_, i32>(1)?)
    } else {
        let tables: String = client.query_one(STRANGERS, &[]).await?.try_get(0)?;
        if !tables.is_empty() {
            return Err(Fault::Foreign { database: database.to_owned(), tables });
        }
        (0, 0)
    };
    if needs > known {
        return Err(Fault::Newer { database: database.to_owned(), found: version, needs, known });
    }
    if version >= known {
        return Ok(version);
    }
    if !migrate {
        return Err(Fault::NeedsMigration { database: database.to_owned(), found: version, known });
    }
    for (number, Migration { needs, sql }) in (1_i32..).zip(MIGRATIONS) {
        if number > version {
            client.batch_execute(sql).await?;
            client.execute(SAVE_VERSION, &[&number, needs]).await?;
            tracing::info!(database, version = number, "the tables were migrated to a new version");
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn releases_before_15_are_refused_in_words() {
        for (number, found) in [(90_624, "9.6.24"), (140_019, "14.19 (Debian 14.19-1)"), (149_999, "15beta1")] {
            let refused = refuse_old(number, found.to_owned()).unwrap_err();
            let message = refused.to_string();
            assert_eq!(message, format!("PostgreSQL {found} is too old: certmint needs 15 or later"));
            assert!(matches!(StoreError::from(refused), StoreError::Broken(_)), "waiting does not help");
        }
        for (number, found) in [(150_000, "15.0"), (170_006, "17.6"), (180_001, "18.1")] {
            refuse_old(number, found.to_owned()).unwrap();
        }
    }
}
