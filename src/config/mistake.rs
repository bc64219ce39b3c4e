//! What is wrong with a configuration file, and where, without the text of the file: the line with a mistake may hold a
//! password.

use std::fmt;

/// Longest name of a key that is shown, in characters.
const MAX_KEY: usize = 100;

/// A place in the file, and what was expected there.
#[derive(Debug, Eq, PartialEq)]
pub struct Mistake {
    line: usize,
    column: usize,
    /// The setting of that line, where it begins with one.
    key: Option<String>,
    problem: String,
}

impl Mistake {
    /// Of the parser's error for this text.
    pub(crate) fn of(text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
        let whole_line = text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        Self { line, column, key: key(whole_line), problem: without_values(error.message()) }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, key, problem } = self;
        write!(out, "line {line}, column {column}")?;
        if let Some(key) = key {
            write!(out, ", {key}")?;
        }
        write!(out, ": {problem}")
    }
}

/// The key or the table that a line begins with.
fn key(line: &str) -> Option<String> {
    let line = line.trim_start();
    let is_name = |text: &str| {
        (1..=MAX_KEY).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_. \"'".contains(c))
    };
    let name = match line.strip_prefix('[') {
        Some(table) => table.trim_start_matches('[').split_once(']')?.0,
        None => line.split_once('=')?.0,
    };
    let name = name.trim();
    is_name(name).then(|| name.to_owned())
}

/// The words of the parser without the values that it quotes: `string "..."` is the text of a setting.
fn without_values(message: &str) -> String {
    let mut words = String::new();
    let mut rest = message;
    while let Some((before, quoted)) = rest.split_once("string \"") {
        words.push_str(before);
        words.push_str("a string");
        let mut escaped = false;
        let end = quoted.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        rest = end.and_then(|(at, _)| quoted.get(at + 1..)).unwrap_or_default();
    }
    words.push_str(rest);
    words.replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn no_mistake_shows_a_value_and_each_is_named_by_its_place() {
        for (text, place) in [
            ("[store]\nurl = 'mysql://u:geheim@h/x'", "line 2, column 7, url: "),
            ("[store]\nurl = 'postgres://u:geheim@h/x", "line 2, column"),
            ("store = {url = 'postgres://u:geheim@h/x', readers = 0}", "line 1, column"),
            (
                "[store]\nreaders = 'postgres://u:geheim@h/x'",
                "line 2, column 11, readers: invalid type: a string, expected",
            ),
            ("[store]\nreaders = 'a\"geheim'", "line 2, column 11, readers: "),
            ("[outbound]\nproxy = 'http://u:geheim@p:3128", "line 2, column"),
            ("[acme.hooks.x]\nprogram = '/x'\nenvironment = {TOKEN = 'geheim', X = 1}", "line 3, column"),
            ("[store]\npassword_file = 'x'\nunknown = 'geheim'", "line 3, column 1, unknown: unknown field"),
            ("[store]\nurl = postgres://u:geheim@h/x", "line 2, column"),
            ("postgres://u:geheim@h/x?a=b", "line 1, column"),
            ("[store]\nurl = 'a'\nurl = 'geheim'", "line 3, column 1, url: "),
        ] {
            let error = toml::from_str::<Config>(text).unwrap_err();
            let mistake = Mistake::of(text, &error).to_string();
            assert!(!mistake.contains("geheim") && mistake.starts_with(place), "{text}: {mistake}");
        }
    }
}
