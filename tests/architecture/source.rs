//! The files of `src` as far as the rules need them. `cargo fmt` writes every item in one way, so a file is read by its
//! lines: what is at the left edge is an item, and what is one step in is a member of it.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// Without comments, and without what is there for tests only.
    pub(crate) lines: Vec<String>,
}

/// An item with the lines between its braces.
pub(crate) struct Item<'a> {
    /// `pub struct Service`, `impl<T> Permit<T>`.
    pub(crate) head: &'a str,
    pub(crate) body: &'a [String],
}

pub(crate) fn sources() -> Vec<Source> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        Source { lines: code(&text), path }
    };
    crate::rust_files(Path::new("src")).into_iter().map(read).collect()
}

fn code(text: &str) -> Vec<String> {
    let (mut lines, mut skipped) = (Vec::new(), false);
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        if line == "#[cfg(test)]" {
            skipped = true;
        } else if !skipped {
            lines.push(line.to_owned());
        } else if line == "}" || !line.starts_with(' ') && line.ends_with(';') {
            skipped = false;
        }
    }
    lines
}

impl Source {
    /// The items at the left edge that have braces, and structs without. A head over several lines is its first one.
    pub(crate) fn items(&self) -> Vec<Item<'_>> {
        let (mut items, mut begin) = (Vec::new(), None);
        for (index, line) in self.lines.iter().enumerate() {
            if line == "}" {
                if let Some((head, first)) = begin.take() {
                    items.push(Item { head, body: &self.lines[first..index] });
                }
            } else if !line.starts_with([' ', '}', '#', ')']) && !line.is_empty() && begin.is_none() {
                if line.ends_with('{') || !line.ends_with([';', '}', ',']) {
                    begin = Some((line.trim_end_matches(" {"), index + 1));
                } else if line.contains("struct ") {
                    // Without names of fields.
                    items.push(Item { head: line, body: &[] });
                }
            }
        }
        items
    }
}

impl Item<'_> {
    /// What a struct or an enum is called, with its type parameters left out.
    pub(crate) fn declares(&self) -> Option<&str> {
        let words: Vec<&str> = self.head.split_whitespace().filter(|word| !word.starts_with("pub")).collect();
        let name = words.strip_prefix(&["struct"]).or_else(|| words.strip_prefix(&["enum"]))?.first()?;
        name.split(['<', '(']).next()
    }

    /// The type whose own methods these are; `None` for those of a trait.
    pub(crate) fn implements(&self) -> Option<&str> {
        let rest = self.head.strip_prefix("impl")?;
        let rest = rest.strip_prefix('<').map_or(rest, |parameters| parameters.split_once('>').map_or("", |it| it.1));
        let name = rest.trim();
        (!name.contains(" for ")).then(|| name.split('<').next().unwrap_or(name))
    }

    /// The heads of the methods, each in one line.
    pub(crate) fn methods(&self) -> Vec<String> {
        let mut methods: Vec<String> = Vec::new();
        let mut open = false;
        for line in self.body {
            let member = line.strip_prefix("    ").filter(|line| !line.starts_with(' '));
            if !open && member.is_some_and(is_method) {
                methods.push(String::new());
                open = true;
            }
            if let (true, Some(last)) = (open, methods.last_mut()) {
                last.push_str(line.trim());
                last.push(' ');
                open = !line.ends_with(['{', '}', ';']);
            }
        }
        methods
    }

    /// How many named fields a struct has.
    pub(crate) fn fields(&self) -> usize {
        let member = |line: &&String| line.strip_prefix("    ").is_some_and(|line| !line.starts_with([' ', '#', '}']));
        if self.head.contains("struct ") { self.body.iter().filter(member).count() } else { 0 }
    }
}

fn is_method(line: &str) -> bool {
    let head = line.split('(').next().unwrap_or_default();
    let restricted = line.strip_prefix("pub(").and_then(|line| line.split_once(") ")).map_or(head, |(_, line)| line);
    restricted.split_whitespace().any(|word| word == "fn")
}

#[test]
fn a_file_is_read_as_it_is_written() {
    let text = "use a::b;\n\n/// A thing.\npub struct Thing<T> {\n    pub(super) one: T,\n    two: Vec<u8>,\n}\n\nimpl<T> Thing<T> {\n    \
                pub(super) async fn long(\n        &self,\n        name: &str,\n    ) -> u8 {\n        0\n    }\n\n    fn short() {}\n}\n\n\
                impl Drop for Thing<u8> {\n    fn drop(&mut self) {}\n}\n\n#[cfg(test)]\nmod tests {\n    struct Other;\n}\n";
    let source = Source { path: PathBuf::new(), lines: code(text) };
    let items = source.items();
    assert_eq!(items.iter().filter_map(Item::declares).collect::<Vec<_>>(), ["Thing"]);
    assert_eq!((items[0].fields(), items.len()), (2, 3));
    assert_eq!(items.iter().filter_map(Item::implements).collect::<Vec<_>>(), ["Thing"]);
    let methods = items[1].methods();
    assert_eq!(methods, ["pub(super) async fn long( &self, name: &str, ) -> u8 { ", "fn short() {} "]);
}
