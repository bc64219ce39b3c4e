//! What every store must do: one promise per function, one line per store. Beside it what the
//! embedded store promises of its file, and the other of its database.

mod claims;
mod crash;
mod erase;
mod faults;
mod foreign;
mod log;
mod many;
mod naive;
#[path = "../support/ports.rs"]
mod ports;
mod postgres;
mod postgres_backlog;
mod postgres_faults;
mod postgres_issuers;
mod postgres_lists;
mod postgres_replicas;
mod postgres_serve;
mod postgres_speed;
mod postgres_texts;
mod proxy;
mod race;
mod records;
#[path = "../support/postgres.rs"]
mod server;
mod set_back;
mod sqlite;
mod sqlite_speed;

use certmint::domain::Timestamp;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use certmint::store::{Batch, Delete, Event, Put, Revision, Store};
use std::any::Any;

/// A fresh and empty store, and what must outlive it.
struct Opened {
    store: Box<dyn Store>,
    _place: Box<dyn Any>,
}

async fn in_a_file() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("certmint.db"), SqliteOptions::default()).unwrap();
    Opened { store: Box::new(store), _place: Box::new(folder) }
}

async fn in_memory() -> Opened {
    Opened { store: Box::new(Sqlite::open_in_memory().unwrap()), _place: Box::new(()) }
}

async fn inline() -> Opened {
    Opened { store: Box::new(Sqlite::open_inline(SqliteOptions::default()).unwrap()), _place: Box::new(()) }
}

async fn in_postgres() -> Opened {
    let store = postgres::open(&postgres::shared().fresh().await).await;
    Opened { store: Box::new(store), _place: Box::new(()) }
}

/// A line for each store: the name of its tests and the function that opens it.
macro_rules! stores {
    ($($promises:tt)*) => {
        conformance!(sqlite_file, in_a_file, $($promises)*);
        conformance!(sqlite_memory, in_memory, $($promises)*);
        conformance!(sqlite_inline, inline, $($promises)*);
        conformance!(postgresql, in_postgres, $($promises)*);
    };
}

macro_rules! conformance {
    ($store:ident, $open:ident, $($file:ident { $($promise:ident)+ })+) => {
        mod $store {
            $(mod $file {
                $(#[tokio::test]
                async fn $promise() {
                    let opened = crate::$open().await;
                    crate::$file::$promise(&*opened.store).await;
                })+
            })+
        }
    };
}

stores! {
    records {
        creating_twice_conflicts
        a_stale_writer_conflicts
        changing_what_does_not_exist_conflicts
        a_refused_batch_leaves_nothing
        a_batch_writes_all_of_it
        a_delete_needs_the_revision_that_was_read
        a_deleted_key_can_be_created_again
        an_old_revision_does_not_fit_the_key_created_again
        a_key_twice_in_a_batch_is_refused
        an_impossible_revision_conflicts
        a_reader_sees_what_was_acknowledged
        a_body_comes_back_byte_for_byte
        a_large_body_comes_back
        a_due_time_comes_back
        a_list_is_in_byte_order
        a_list_pages_with_after_and_limit
        a_prefix_is_taken_literally
        a_prefix_may_end_with_the_greatest_character
        an_after_outside_of_the_prefix_is_no_trap
        a_list_of_nothing_is_empty
    }
    many {
        many_come_back_in_the_order_in_which_they_were_asked_for
        what_is_not_there_is_none_in_its_place
        a_key_that_is_asked_for_twice_comes_twice
        asking_for_none_answers_none
        as_many_as_the_limit_can_be_read_at_once_and_no_more
        many_are_of_one_moment_that_is_not_too_early
    }
    log {
        every_event_has_its_own_revision
        the_records_get_the_last_revision_of_the_batch
        a_batch_without_events_takes_a_revision
        an_empty_batch_takes_a_revision_and_leaves_nothing
        a_page_can_end_inside_a_batch
        a_page_says_what_the_log_reaches
        a_cursor_at_or_beyond_the_head_gets_nothing
        the_head_is_notified_after_commit
        the_head_is_not_notified_for_a_refusal
        trimming_takes_the_oldest_and_says_so
        trimming_goes_in_steps
        trimming_keeps_at_least_what_was_asked
        trimming_spares_what_is_too_young
        trimming_counts_only_what_was_written
        trimming_leaves_records_and_the_head_alone
        the_epoch_is_32_hex_digits_and_stays
    }
    claims {
        a_claim_is_exclusive_until_it_expires
        a_claim_takes_the_soonest_first
        a_claim_gives_a_new_revision_and_the_lease_as_due_time
        a_late_holder_conflicts
        a_holder_in_time_commits
        who_read_before_the_claim_conflicts
        what_is_never_due_is_never_claimed
        what_is_due_later_is_not_claimed
        a_claim_of_nothing_writes_nothing
        a_claim_leaves_no_event
        two_workers_never_hold_the_same_record
    }
    race {
        of_two_writers_of_one_key_exactly_one_wins
        a_refused_batch_does_not_harm_its_neighbours
        a_chain_of_changes_in_one_burst_holds
        a_tailing_reader_misses_nothing_and_sees_commit_order
        what_is_acknowledged_is_below_the_head
        a_reader_never_sees_less_than_was_acknowledged_or_shown
    }
}

/// A record that must not exist yet.
fn new(key: &str, body: &str) -> Put {
    Put { key: key.into(), expected: None, body: body.into(), due: None }
}

/// A record as its reader knew it.
fn change(key: &str, expected: Revision, body: &str) -> Put {
    Put { expected: Some(expected), ..new(key, body) }
}

fn delete(key: &str, expected: Revision) -> Delete {
    Delete { key: key.into(), expected }
}

/// A batch of puts.
fn puts(puts: impl Into<Vec<Put>>) -> Batch {
    Batch { puts: puts.into(), ..Batch::default() }
}

/// A batch of events.
fn events<const N: usize>(bodies: [&str; N]) -> Batch {
    Batch { events: bodies.map(Into::into).into(), ..Batch::default() }
}

async fn create(store: &dyn Store, key: &str, body: &str) -> Revision {
    store.commit(puts([new(key, body)])).await.unwrap()
}

async fn body_of(store: &dyn Store, key: &str) -> Option<String> {
    let record = store.get(key).await.unwrap()?;
    assert_eq!(record.key, key);
    Some(String::from_utf8(record.body).unwrap())
}

/// The whole log, page by page.
async fn whole_log(store: &dyn Store, page: usize) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let after = all.last().map_or(0, |event| event.revision);
        let events = store.events(after, page).await.unwrap().events;
        if events.is_empty() {
            return all;
        }
        all.extend(events);
    }
}

fn bodies(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| std::str::from_utf8(&event.body).unwrap()).collect()
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp(milliseconds)
}
