//! The inputs of `tests/data/seeds`.

use std::path::{Path, PathBuf};

/// The folder of a kind of input.
pub(crate) fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/seeds").join(kind)
}

/// All of a kind, with their names, in the order of those.
pub(crate) fn all(kind: &str) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder(kind)).unwrap_or_else(|error| panic!("no seeds of {kind}: {error}"));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|file| (name(file), std::fs::read(file).unwrap())).collect()
}
