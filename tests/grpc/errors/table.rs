//! The tables of `docs/errors.md`, read as a test can use them.

use super::outcome::Outcome;
use std::collections::BTreeMap;

/// A row of the table of bad input.
pub(super) struct Row {
    pub(super) input: String,
    pub(super) rest: Cell,
    pub(super) grpc: Cell,
}

/// What a cell promises.
pub(super) struct Cell {
    text: String,
    /// Codes of Azure, or reasons.
    codes: Vec<String>,
    /// The status before an Azure code.
    status: Option<u16>,
    /// Fragments that stand in the message, in this order.
    words: Vec<String>,
}

/// Every row of the tables of bad input.
pub(super) fn rows() -> Vec<Row> {
    let rows = lines("| input | REST | gRPC |").into_iter().map(|[input, rest, grpc]| Row {
        input,
        rest: Cell::read(rest),
        grpc: Cell::read(grpc),
    });
    rows.collect()
}

/// The first table: gRPC code, HTTP status and Azure code of each reason.
pub(super) fn reasons() -> BTreeMap<String, (String, u16, String)> {
    let plain = |cell: &str| cell.trim_matches('`').to_owned();
    lines("| reason | gRPC code | HTTP | Azure code | when | what to do |")
        .into_iter()
        .map(|[reason, code, http, azure, _, _]| (plain(&reason), (plain(&code), http.parse().unwrap(), plain(&azure))))
        .collect()
}

/// The lines below a head, cut into cells; several tables may have it.
fn lines<const N: usize>(head: &str) -> Vec<[String; N]> {
    let page = include_str!("../../../docs/errors.md");
    let tables = page.split(head).skip(1);
    let rows = tables.flat_map(|below| below.lines().skip(2).take_while(|line| line.starts_with('|')));
    let cells = rows.map(|line| {
        let cells: Vec<String> = line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{N} cells are expected: {cells:?}"))
    });
    let cells: Vec<[String; N]> = cells.collect();
    assert!(!cells.is_empty(), "docs/errors.md has no table {head}");
    cells
}

impl Cell {
    fn read(text: String) -> Self {
        let quoted = text.split('"').skip(1).step_by(2);
        let words = quoted.flat_map(|quote| quote.split('…')).map(|word| word.trim().to_owned());
        let words = words.filter(|word| !word.is_empty()).collect();
        // What stands in quotes is no code, and what is in brackets explains.
        let codes = text.split(['"', '(']).next().unwrap_or_default().split('`').skip(1).step_by(2);
        let codes = codes.map(str::to_owned).collect();
        let before = text.split('`').next().unwrap_or_default();
        let status = before.split_whitespace().find_map(|word| word.parse().ok());
        Self { words, codes, status, text }
    }

    /// Whether this is what was tried; each of several codes has to be met.
    pub(super) fn check(&self, tried: &[Outcome]) -> Result<(), String> {
        let Self { text, codes, words, .. } = self;
        if text.is_empty() || tried.is_empty() {
            return if text.is_empty() && tried.is_empty() {
                Ok(())
            } else {
                Err(format!("the page says \"{text}\", and {} inputs were tried", tried.len()))
            };
        }
        let accepted = tried.iter().filter(|outcome| matches!(outcome, Outcome::Accepted)).count();
        if text == "accepted" {
            return if accepted == tried.len() { Ok(()) } else { Err(format!("not accepted: {tried:?}")) };
        }
        let expected = usize::from(text.starts_with("one accepted, the others "));
        if accepted != expected || tried.len() < 1 + expected {
            return Err(format!("{accepted} of {} were accepted: {tried:?}", tried.len()));
        }
        for outcome in tried {
            let Outcome::Refused { status, code, message } = outcome else { continue };
            if !codes.contains(code) || self.status != *status {
                return Err(format!("the page says \"{text}\", the server {outcome:?}"));
            }
            let mut rest = message.as_str();
            for word in words {
                let Some((_, after)) = rest.split_once(word.as_str()) else {
                    return Err(format!("the message has no \"{word}\": {message}"));
                };
                rest = after;
            }
        }
        let met = |code: &String| {
            tried.iter().any(|outcome| matches!(outcome, Outcome::Refused { code: met, .. } if met == code))
        };
        match codes.iter().find(|code| !met(code)) {
            Some(missing) => Err(format!("nothing was answered with {missing}: {tried:?}")),
            None => Ok(()),
        }
    }
}

mod tests {
    use super::*;

    fn refused(status: u16, code: &str, message: &str) -> Outcome {
        Outcome::Refused { status: Some(status), code: code.to_owned(), message: message.to_owned() }
    }

    /// The checker of the page has to see what is wrong.
    #[test]
    fn a_cell_lists_differences() {
        let cell = |text: &str| Cell::read(text.to_owned());
        let page = cell("400 `BadParameter`, \"line … column\" (a word)");
        assert_eq!(page.check(&[refused(400, "BadParameter", "at line 1, column 2")]), Ok(()));
        assert!(page.check(&[refused(404, "BadParameter", "at line 1, column 2")]).is_err(), "another status");
        assert!(page.check(&[refused(400, "NotFound", "at line 1, column 2")]).is_err(), "another code");
        assert!(page.check(&[refused(400, "BadParameter", "column 1, line 2")]).is_err(), "another order");
        assert!(page.check(&[Outcome::Accepted]).is_err() && page.check(&[]).is_err());
        assert!(cell("").check(&[]).is_ok() && cell("").check(&[Outcome::Accepted]).is_err());
        assert!(cell("accepted").check(&[refused(400, "BadParameter", "")]).is_err());
        let several = cell("404 `A`, `B`");
        assert!(several.check(&[refused(404, "A", ""), refused(404, "B", "")]).is_ok());
        assert!(several.check(&[refused(404, "A", "")]).is_err(), "one of them is not met");
        let race = cell("one accepted, the others 409 `A`");
        assert!(race.check(&[refused(409, "A", ""), Outcome::Accepted]).is_ok());
        assert!(race.check(&[Outcome::Accepted, Outcome::Accepted]).is_err(), "two won");
        assert!(race.check(&[refused(409, "A", "")]).is_err() && race.check(&[Outcome::Accepted]).is_err());
    }
}
