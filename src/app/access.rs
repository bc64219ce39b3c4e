//! Who may do what, as the configuration and its file of grants say.

use crate::config::{AccessMode, AccessSettings, Config, ConfigError};
use crate::domain::access::{AccessFile, FileInput, PrincipalName};
use crate::service::{Access, AccessOptions, GrantLimits, Mode};
use crate::transport::auth::{FileError, read_guarded};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A larger file is not one of ours: 100,000 grants take about half.
const MAX_FILE: u64 = 32 * 1024 * 1024;

/// Why grants cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum GrantsError {
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    #[error("administrators: {0}")]
    Administrator(crate::domain::Error),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the file of grants {} cannot be used: {problem}", path.display())]
    Content { path: PathBuf, problem: String },
}

/// What the service is told, and the text of the file of grants, if there is one.
pub(super) fn open(config: &Config) -> Result<(AccessOptions, Option<Read>), GrantsError> {
    if config.dev {
        if config.access.is_some() {
            tracing::warn!("in development mode everybody may do everything: [access] has no effect");
        }
        return Ok((AccessOptions::default(), None));
    }
    let (_, settings) = config.for_others()?;
    let AccessSettings { administrators, file, mode, stored_grants, stored_grants_bytes, stored_roles, per_caller } =
        settings;
    let administrators: Result<Vec<PrincipalName>, _> =
        administrators.iter().map(|name| PrincipalName::parse(name)).collect();
    let read = file.as_deref().map(Read::of).transpose()?;
    let options = AccessOptions {
        mode: match mode {
            AccessMode::Enforce => Mode::Enforce,
            AccessMode::Report => Mode::Report,
        },
        administrators: administrators.map_err(GrantsError::Administrator)?,
        file: read.as_ref().map(|read| read.content.clone()).unwrap_or_default(),
        limits: GrantLimits { grants: *stored_grants, bytes: *stored_grants_bytes, roles: *stored_roles },
        per_caller: *per_caller,
    };
    Ok((options, read))
}

/// A file of grants as it was read.
#[derive(Debug)]
pub(super) struct Read {
    path: PathBuf,
    text: Vec<u8>,
    content: AccessFile,
}

impl Read {
    fn of(path: &Path) -> Result<Self, GrantsError> {
        let text = read_guarded("file of grants", path, MAX_FILE)?;
        let content = parse(path, &text)?;
        Ok(Self { path: path.to_owned(), text, content })
    }

    /// Where changes of the file take effect from now on.
    pub(super) fn follow(self, access: Access) -> GrantsFile {
        GrantsFile { path: self.path, text: Mutex::new(self.text), access }
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<AccessFile, GrantsError> {
    let failed = |problem: String| GrantsError::Content { path: path.to_owned(), problem };
    let text = std::str::from_utf8(text).map_err(|_| failed("it is not text".to_owned()))?;
    // What an editor leaves that truncates the file before it writes; nobody is to lose his grants to that.
    if text.trim().is_empty() {
        return Err(failed("it is empty; a file that grants nothing yet has a comment, such as: # none".to_owned()));
    }
    let input: FileInput = toml::from_str(text).map_err(|error| failed(format!("\n{error}")))?;
    AccessFile::parse(&input).map_err(|error| failed(error.message))
}

/// The file whose grants are in force.
#[derive(Debug)]
pub(super) struct GrantsFile {
    path: PathBuf,
    /// The text that the present grants came from.
    text: Mutex<Vec<u8>>,
    access: Access,
}

impl GrantsFile {
    /// Reads the file again; whether it had changed. After an error the grants are the same as before.
    pub(super) fn reload(&self) -> Result<bool, GrantsError> {
        let text = read_guarded("file of grants", &self.path, MAX_FILE)?;
        let mut last = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == text {
            return Ok(false);
        }
        let content = parse(&self.path, &text)?;
        let failed = |problem| GrantsError::Content { path: self.path.clone(), problem };
        self.access.replace_file(content).map_err(|error| failed(error.message))?;
        *last = text;
        Ok(true)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_no_file_of_grants_and_one_with_a_comment_is() {
        for empty in ["", "\n", " \r\n\t"] {
            let error = parse(Path::new("access.toml"), empty.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("access.toml cannot be used: it is empty"), "{error}");
        }
        assert!(parse(Path::new("access.toml"), b"# none\n").unwrap().grants.is_empty());
    }
}
