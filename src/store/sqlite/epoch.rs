//! A new epoch, for a database that came back from a backup.

use super::error::Fault;
use super::file::Claimed;
use super::options::SqliteOptions;
use super::schema;
use crate::store::StoreError;
use std::io;
use std::path::Path;

const NEW_EPOCH: &str = "\
-- new_epoch
UPDATE meta SET epoch = lower(hex(randomblob(16))) WHERE id = 1";
const EPOCH: &str = "\
-- epoch
SELECT epoch FROM meta WHERE id = 1";

/// Draws a new epoch for the database at `path` and answers it. A restored database counts again over revisions that
/// clients have seen; under the new epoch their resume tokens are refused instead of being misread.
///
/// # Errors
/// [`StoreError::Unavailable`] where there is no file, or a server has it open; [`StoreError::Broken`] where it is not
/// a database of certmint.
pub fn new_epoch(path: &Path) -> Result<String, StoreError> {
    if !path.is_file() {
        let source = io::Error::new(io::ErrorKind::NotFound, "there is no such file");
        return Err(Fault::Open { path: path.to_owned(), source: Box::new(source) }.into());
    }
    let claimed = Claimed::new(path)?;
    let (connection, _, _) = schema::open_writer(&claimed.path, &SqliteOptions::default())?;
    let drawn = connection
        .execute(NEW_EPOCH, [])
        .and_then(|_| connection.query_row(EPOCH, [], |row| row.get(0)))
        .map_err(|error| Fault::Open { path: path.to_owned(), source: Box::new(error) })?;
    Ok(drawn)
}
