//! Pages that are written from the program: what the code says stands in one place, and a test compares the page.

use std::fs;
use std::path::Path;

/// Compares the paragraph behind `heading` with what the program says of it; with `CERTMINT_WRITE_DOCS` set, writes it.
pub(crate) fn compare(page: &str, heading: &str, written: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(heading).unwrap_or_else(|| panic!("{page} has no {heading:?}"));
    let (there, after) = rest.split_once("\n\n").unwrap();
    if std::env::var_os("CERTMINT_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{heading}{}\n\n{after}", written.trim_end())).unwrap();
    } else {
        assert_eq!(
            there,
            written.trim_end(),
            "{page} is not what the program says: CERTMINT_WRITE_DOCS=1 cargo test --lib"
        );
    }
}
