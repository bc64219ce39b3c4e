//! The lines of a file of master keys: keys, and commands whose standard output is a key. Nothing is run here.

use super::master_keys::{MasterKeyTextError, MasterKeys};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt;
use zeroize::Zeroizing;

pub(super) const KEY_LEN: usize = 32;
/// What a line with a command has before its program.
const COMMAND: &str = "exec:";

/// At least one line; the last is the newest.
pub struct MasterKeyLines(Vec<(String, Line)>);

enum Line {
    Key(Zeroizing<[u8; KEY_LEN]>),
    /// A program and its arguments.
    Command(Vec<String>),
}

impl fmt::Debug for MasterKeyLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

impl MasterKeyLines {
    /// From text: one `id base64` or `id exec:PROGRAM ARGUMENT…` per line. Blank lines and lines that begin with `#` do
    /// not count.
    ///
    /// # Errors
    /// What is wrong with which line; never a part of it.
    pub fn from_text(text: &str) -> Result<Self, MasterKeyTextError> {
        let mut lines: Vec<(String, Line)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let problem = |problem| MasterKeyTextError::Line { line: index + 1, problem };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            let (Some(id), Some(key)) = (words.next(), words.next()) else {
                return Err(problem("a line is an id, a space and a key in base64"));
            };
            if !is_id(id) {
                return Err(problem("the id has up to 32 letters, digits, - _ and ."));
            }
            if lines.iter().any(|(other, _)| other == id) {
                return Err(problem("the id is already used on an earlier line"));
            }
            let line = match key.strip_prefix(COMMAND) {
                Some(program) => command(program, words).map_err(problem)?,
                None if words.next().is_some() => return Err(problem("a line is an id, a space and a key in base64")),
                None => Line::Key(decoded(key).map_err(problem)?),
            };
            lines.push((id.to_owned(), line));
        }
        if lines.is_empty() { Err(MasterKeyTextError::Empty) } else { Ok(Self(lines)) }
    }

    /// The id of a key that is still to come from a command, and the program with its arguments.
    pub fn command(&self) -> Option<(&str, &[String])> {
        self.0.iter().find_map(|(id, line)| match line {
            Line::Command(words) => Some((id.as_str(), &words[..])),
            Line::Key(_) => None,
        })
    }

    /// What the command of this id printed: 32 bytes, or the same in base64 with any space around it.
    ///
    /// # Errors
    /// Why it is no key; never a part of it.
    pub fn give(&mut self, id: &str, output: &[u8]) -> Result<(), &'static str> {
        let key = match <[u8; KEY_LEN]>::try_from(output) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(_) => decoded(std::str::from_utf8(output).map_err(|_| "the key is not base64")?.trim())?,
        };
        if let Some((_, line)) = self.0.iter_mut().find(|(known, _)| known == id) {
            *line = Line::Key(key);
        }
        Ok(())
    }

    /// The keys, once none is to come from a command any more.
    ///
    /// # Errors
    /// Where one is.
    pub fn keys(self) -> Result<MasterKeys, MasterKeyTextError> {
        let key = |(id, line)| match line {
            Line::Key(key) => Ok((id, key)),
            Line::Command(_) => Err(MasterKeyTextError::Command { id }),
        };
        self.0.into_iter().map(key).collect::<Result<_, _>>().map(MasterKeys::of)
    }
}

/// Whether a master key can have this id.
pub(super) fn is_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn command<'a>(program: &'a str, arguments: impl Iterator<Item = &'a str>) -> Result<Line, &'static str> {
    if !program.starts_with('/') {
        return Err("exec: is followed by the whole path of a program");
    }
    Ok(Line::Command(std::iter::once(program).chain(arguments).map(str::to_owned).collect()))
}

fn decoded(key: &str) -> Result<Zeroizing<[u8; KEY_LEN]>, &'static str> {
    let bytes = STANDARD.decode(key).map(Zeroizing::new).map_err(|_| "the key is not base64")?;
    let key = <[u8; KEY_LEN]>::try_from(bytes.as_slice());
    key.map(Zeroizing::new).map_err(|_| "the key does not have 32 bytes (44 characters of base64)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn a_line_is_a_key_or_a_command_whose_output_is_one() {
        let text = format!("old {KEY}\nnew  exec:/usr/bin/systemd-creds  decrypt /etc/key.cred -\n");
        let mut lines = MasterKeyLines::from_text(&text).unwrap();
        let (id, words) = lines.command().unwrap();
        assert_eq!((id, words.join("|").as_str()), ("new", "/usr/bin/systemd-creds|decrypt|/etc/key.cred|-"));
        assert_eq!(lines.give("new", b"s3cret").unwrap_err(), "the key is not base64");
        assert_eq!(lines.give("new", &[0xff; 33]).unwrap_err(), "the key is not base64");
        assert!(lines.give("new", b"AAAA\n").unwrap_err().contains("does not have 32 bytes"));
        assert!(lines.command().is_some());
        lines.give("new", &[7; 32]).unwrap();
        assert!(lines.command().is_none());
        let keys = lines.keys().unwrap();
        assert_eq!(keys.iter().collect::<Vec<_>>(), [("old", &[0; 32]), ("new", &[7; 32])]);
    }

    #[test]
    fn the_output_is_bytes_or_base64_with_an_end_of_line() {
        let printed = [&[0; 32][..], KEY.as_bytes(), &format!(" {KEY}\r\n").into_bytes()].map(<[u8]>::to_vec);
        for output in printed {
            let mut lines = MasterKeyLines::from_text("a exec:/bin/cat").unwrap();
            lines.give("a", &output).unwrap();
            assert_eq!(lines.keys().unwrap().iter().next(), Some(("a", &[0; 32])));
        }
    }

    #[test]
    fn a_command_has_a_whole_path_and_is_never_taken_for_a_key() {
        for text in ["a exec:", "a exec:cat x", "a exec:../cat", "a exec: /bin/cat"] {
            let message = MasterKeyLines::from_text(text).unwrap_err().to_string();
            assert_eq!(message, "line 1: exec: is followed by the whole path of a program", "{text}");
        }
        let unopened = MasterKeyLines::from_text("a exec:/bin/cat").unwrap().keys().unwrap_err().to_string();
        assert!(unopened.contains("the master key a comes from a command"), "{unopened}");
    }
}
