//! Who owns the files that are written: names of users and groups, by the files of this machine.

use std::fs::File;
use std::io;
use std::os::unix::fs::fchown;

/// The owner and the group of a file, where the configuration names them; else those of the agent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Owner {
    user: Option<u32>,
    group: Option<u32>,
}

impl Owner {
    /// By names or numbers.
    ///
    /// # Errors
    /// A name that neither `/etc/passwd` nor `/etc/group` has.
    pub(super) fn find(user: Option<&str>, group: Option<&str>) -> Result<Self, String> {
        let by = |name: Option<&str>, file: &str| name.map(|name| number(name, file)).transpose();
        Ok(Self { user: by(user, "/etc/passwd")?, group: by(group, "/etc/group")? })
    }

    /// Gives an open file to them.
    ///
    /// # Errors
    /// Where the system refuses it: only root may give files away.
    pub(super) fn apply(self, file: &File) -> io::Result<()> {
        match self {
            Self { user: None, group: None } => Ok(()),
            Self { user, group } => fchown(file, user, group),
        }
    }
}

fn number(name: &str, file: &str) -> Result<u32, String> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?;
    // name:password:number:...
    let mut rows = text.lines().map(|line| line.split(':'));
    let found = rows.find_map(|mut row| (row.next() == Some(name)).then(|| row.nth(1)).flatten()?.parse().ok());
    found.ok_or_else(|| format!("{file} has no {name}; if another directory knows it, write its number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_found() {
        assert_eq!(Owner::find(Some("root"), Some("root")).unwrap(), Owner { user: Some(0), group: Some(0) });
        assert_eq!(Owner::find(Some("12345"), None).unwrap(), Owner { user: Some(12_345), group: None });
        let problem = Owner::find(Some("nobody-has-this-name"), None).unwrap_err();
        assert!(problem.contains("/etc/passwd has no nobody-has-this-name"), "{problem}");
    }
}
