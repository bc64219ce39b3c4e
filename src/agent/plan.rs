//! What an installation writes where: from the outputs of a certificate to the entries that are swapped.

use super::config::{CertificateConfig, OutputConfig};
use super::kept::Installed;
use super::material::{FORMS, Material};
use super::swap::{NewFile, Swap};
use crate::domain::text::hex;
use crate::keys::digest::fingerprint;
use crate::regular_file;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SECRET_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
/// More than any file that is written: an answer of the server is smaller, even as text.
const MAX_WRITTEN: u64 = 64 * 1024 * 1024;

/// What was written beside the present files, in the order in which it is put in its places.
pub(super) struct Staged {
    pub(super) swaps: Vec<Swap>,
    pub(super) files: BTreeMap<PathBuf, String>,
}

/// Of all outputs of a certificate: another plan writes other files.
pub(super) fn plan_of(config: &CertificateConfig) -> String {
    // A struct of texts and paths, which came from UTF-8.
    hex(&fingerprint(&serde_json::to_vec(&config.outputs).unwrap_or_default()))
}

/// Writes everything beside what is there.
///
/// # Errors
/// What could not be written, by its path.
pub(super) fn stage(config: &CertificateConfig, material: &Material) -> Result<Staged, String> {
    let mut staged = Staged { swaps: Vec::new(), files: BTreeMap::new() };
    match staged.write(config, material) {
        Ok(()) => Ok(staged),
        Err(problem) => {
            staged.swaps.iter().for_each(Swap::discard);
            Err(problem)
        }
    }
}

impl Staged {
    fn write(&mut self, config: &CertificateConfig, material: &Material) -> Result<(), String> {
        for output in &config.outputs {
            match &output.directory {
                Some(directory) => self.folder(directory, output, material)?,
                None => self.files_of(output, material)?,
            }
        }
        // Keys come before certificates: a server that reloads between the two refuses them, and goes on with the old pair.
        let keys = |swap: &Swap| config.outputs.iter().any(|output| output.has_key_at(&swap.live));
        self.swaps.sort_by_key(|swap| !(swap.is_link || keys(swap)));
        for swap in &mut self.swaps {
            swap.keep().map_err(|error| unwritable(&swap.live, &error))?;
        }
        Ok(())
    }

    fn files_of(&mut self, output: &OutputConfig, material: &Material) -> Result<(), String> {
        let (owner, mode) = (output.owner()?, output.mode()?);
        for (form, _) in FORMS {
            let Some(path) = form.path(output) else { continue };
            let content = material.content(form, output)?;
            let default = if form.has_key() { SECRET_MODE } else { PUBLIC_MODE };
            // In the list before it is written: it may be there in part.
            let swap = Swap::file(path.to_owned());
            self.swaps.push(swap.clone());
            let written = swap.stage_file(&content, mode.unwrap_or(default), owner);
            written.map_err(|error| unwritable(path, &error))?;
            self.files.insert(path.to_owned(), hex(&fingerprint(&content)));
        }
        Ok(())
    }

    fn folder(&mut self, directory: &Path, output: &OutputConfig, material: &Material) -> Result<(), String> {
        let (owner, mode, mut files) = (output.owner()?, output.mode()?, Vec::new());
        for (form, name) in FORMS {
            if form == super::material::Form::Pfx && output.pfx_password_file.is_none() {
                continue;
            }
            let default = if form.has_key() { SECRET_MODE } else { PUBLIC_MODE };
            files.push(NewFile { name, content: material.content(form, output)?, mode: mode.unwrap_or(default) });
        }
        let swap = Swap::link(directory);
        let folder =
            swap.stage_folder(&material.version, &files, owner).map_err(|error| unwritable(directory, &error))?;
        for file in &files {
            self.files.insert(folder.join(file.name), hex(&fingerprint(&file.content)));
        }
        self.files.insert(swap.live.clone(), target(&folder));
        self.swaps.push(swap);
        Ok(())
    }
}

/// Whether all files are there as they were written.
pub(super) fn is_intact(installed: &Installed) -> bool {
    installed.files.iter().all(|(path, digest)| {
        let is_link = path.symlink_metadata().is_ok_and(|facts| facts.is_symlink());
        if is_link {
            return std::fs::read_link(path).is_ok_and(|to| target(&to) == *digest);
        }
        // Whatever stands there by now: a pipe would keep all certificates waiting.
        regular_file::read(path, MAX_WRITTEN).is_ok_and(|(bytes, _)| {
            let bytes = zeroize::Zeroizing::new(bytes);
            hex(&fingerprint(&bytes)) == *digest
        })
    })
}

/// How the record names where a link points: no digest looks like it.
fn target(folder: &Path) -> String {
    format!("-> {}", folder.file_name().unwrap_or_default().to_string_lossy())
}

fn unwritable(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (file, pipe) = (folder.path().join("file"), folder.path().join("pipe"));
        std::fs::write(&file, "content").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let installed = |path: PathBuf| Installed {
            version: String::new(),
            not_after: 0,
            since: 0,
            plan: String::new(),
            files: BTreeMap::from([(path, hex(&fingerprint(b"content")))]),
        };
        assert!(is_intact(&installed(file)));
        assert!(!is_intact(&installed(pipe)));
    }
}
