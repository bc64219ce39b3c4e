//! Many replicas on one PostgreSQL: how many transitions it takes, how soon the others hear of one, how fast due work
//! is shared out, and what very many certificates cost.

mod claims;
mod commits;
mod database;
mod fleet;
mod notified;
mod process;

use crate::Times;
use crate::support::{Failure, Report};
use database::Database;

pub(crate) use process::run;

pub(crate) const NAMES: [&str; 5] = ["commits", "told", "claims", "fleet", "fleet-sqlite"];

/// Bytes of a pending operation and of an event about it, with a key on P-256 and a request.
const RECORD: usize = 1650;
const EVENT: usize = 820;

/// A text as hard to compress as the keys and requests in a real body.
fn body(length: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The high bits: the low ones repeat soon.
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(state >> 58) as usize])
    });
    letters.take(length).collect()
}

/// What is `wanted`, row by row.
pub(crate) async fn measure(wanted: impl Fn(&str) -> bool, times: Times, report: &Report) -> Result<(), Failure> {
    if !NAMES.iter().any(|name| wanted(name)) {
        return Ok(());
    }
    if wanted("commits") || wanted("told") || wanted("claims") {
        let database = Database::durable();
        if wanted("commits") {
            commits::measure(&database, times, report).await?;
        }
        if wanted("told") {
            notified::measure(&database, times, report).await?;
        }
        if wanted("claims") {
            claims::measure(&database, times, report).await?;
        }
    }
    if wanted("fleet") {
        fleet::in_postgres(times, report).await?;
    }
    if wanted("fleet-sqlite") {
        fleet::in_sqlite(times, report).await?;
    }
    Ok(())
}
