//! Pages of lists: what the query asks for, and the answer with the address of the next page.

use super::answer::{Answer, json};
use super::call::Call;
use super::model::list::ListAnswer;
use crate::domain::Error;
use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

/// Key Vault's largest page, and its usual one.
const MAX_RESULTS: usize = 25;
/// What is written as it is in a query (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Call<'_> {
    /// How many results are wanted, and the token of the page (`maxresults`, `$skiptoken`).
    pub(super) fn page(&self) -> Result<(usize, &str), Error> {
        Ok((page_size(self.address.query("maxresults"))?, self.address.query("$skiptoken").unwrap_or_default()))
    }

    /// A page of the list at `place`, whose next one has this token; `parameters` (`&name=value`) are those that every
    /// page needs.
    pub(super) fn list<T: Serialize>(&self, value: Vec<T>, place: &str, next_token: &str, parameters: &str) -> Answer {
        let size = page_size(self.address.query("maxresults")).unwrap_or(MAX_RESULTS);
        let next_link = (!next_token.is_empty()).then(|| {
            let token = utf8_percent_encode(next_token, RESERVED);
            format!("{place}&$skiptoken={token}&maxresults={size}{parameters}")
        });
        Answer::json(StatusCode::OK, json(&ListAnswer { value, next_link }))
    }
}

fn page_size(text: Option<&str>) -> Result<usize, Error> {
    let Some(text) = text else { return Ok(MAX_RESULTS) };
    let size = text.parse::<usize>().ok().filter(|size| (1..=MAX_RESULTS).contains(size));
    size.ok_or_else(|| Error::field("maxresults", format!("It is a whole number from 1 to {MAX_RESULTS}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_25_results() {
        assert_eq!((page_size(None), page_size(Some("1")), page_size(Some("25"))), (Ok(25), Ok(1), Ok(25)));
        for bad in ["0", "26", "-1", "x", "1.0"] {
            assert!(page_size(Some(bad)).is_err(), "{bad}");
        }
    }
}
