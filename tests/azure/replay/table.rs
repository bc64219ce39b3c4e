//! The tables of `docs/compatibility.md` that say what the replay may find.

use super::compare::Difference;
use super::play::{Id, all};
use std::collections::BTreeSet;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");

/// Differences that are known, each for one exchange.
pub(super) fn known() -> BTreeSet<(Id, String, String, String)> {
    let mut known = BTreeSet::new();
    for [exchanges, member, recorded, ours, why] in rows("| exchange | member | Key Vault | here | why |") {
        assert!(!why.is_empty(), "{member} of {exchanges} differs without a reason");
        for id in ids(&exchanges) {
            let row = (id, plain(&member), plain(&recorded), plain(&ours));
            assert!(known.insert(row), "{member} of {exchanges} stands twice in the table");
        }
    }
    known
}

/// Exchanges that are not played.
pub(super) fn left_out() -> BTreeSet<Id> {
    let rows = rows("| exchange | why it is not sent |");
    rows.into_iter()
        .flat_map(|[exchanges, why]| {
            assert!(!why.is_empty(), "{exchanges} is left out without a reason");
            ids(&exchanges)
        })
        .collect()
}

/// A difference as it would stand in the table.
pub(super) fn row(id: Id, difference: &Difference) -> (Id, String, String, String) {
    let Difference { member, recorded, ours } = difference;
    let cell = |text: &str| text.replace('|', "\\|").trim().to_owned();
    (id, cell(member), cell(recorded), cell(ours))
}

fn rows<const N: usize>(head: &str) -> Vec<[String; N]> {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, below) = page.split_once(head).unwrap_or_else(|| panic!("docs/compatibility.md has no table {head}"));
    let rows = below.lines().skip(2).take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<String> =
            line.trim().trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{N} cells are expected: {cells:?}"))
    });
    rows.collect()
}

fn plain(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

/// `full 1-4, 7, newer 3`.
fn ids(cell: &str) -> Vec<Id> {
    let (mut list, mut found) = ("", Vec::new());
    for part in cell.split(',').map(str::trim) {
        let numbers = match part.split_once(' ') {
            Some((name, numbers)) => {
                list = name;
                numbers
            }
            None => part,
        };
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let number = |text: &str| text.parse::<usize>().unwrap_or_else(|_| panic!("{cell} names no exchanges"));
        let range = number(first)..=number(last);
        let ids: Vec<Id> = all().filter(|(name, index)| *name == list && range.contains(index)).collect();
        assert_eq!(ids.len(), range.count(), "{part} of {cell} is not in the recording");
        found.extend(ids);
    }
    found
}
