//! Bearer tokens from a file of hashes: `principal sha256-hex`, one per line. The tokens themselves are not stored.

use super::Principal;
use crate::guarded_file::{FileError, read_guarded};
use crate::jwt::TokenHash;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio_util::sync::CancellationToken;

/// A larger file is not one of ours: it has room for 100,000 tokens and more.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// Of a principal's name; it stands in logs.
const MAX_NAME: usize = 64;

/// Why a file of tokens cannot be used. Holds no hash.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the tokens file {} cannot be used: {problem}", path.display())]
    Content { path: PathBuf, problem: String },
}

/// The tokens that are accepted now.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    /// The text that the present tokens came from.
    text: Mutex<Vec<u8>>,
    known: RwLock<Lines>,
}

/// The lines of the file by the hashes of their tokens.
type Lines = HashMap<TokenHash, Known>;

#[derive(Clone, Debug)]
struct Known {
    /// `token:NAME`.
    principal: Arc<str>,
    revoked: CancellationToken,
}

impl Tokens {
    /// Reads the file; it must hold a token.
    pub fn load(path: &Path) -> Result<Self, TokensError> {
        let text = read(path)?;
        let known = parse(path, &text)?;
        Ok(Self { path: path.to_owned(), text: Mutex::new(text), known: RwLock::new(known) })
    }

    /// Reads the file again; whether it had changed. After an error the tokens are the same as before.
    ///
    /// Where a line is gone, the [`Principal::revoked`] that it gave is cancelled.
    pub fn reload(&self) -> Result<bool, TokensError> {
        let text = read(&self.path)?;
        let mut last = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == text {
            return Ok(false);
        }
        let mut fresh = parse(&self.path, &text)?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (hash, old) in known.drain() {
            match fresh.get_mut(&hash).filter(|new| new.principal == old.principal) {
                Some(same) => same.revoked = old.revoked,
                None => old.revoked.cancel(),
            }
        }
        *known = fresh;
        *last = text;
        Ok(true)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many tokens are accepted.
    pub fn count(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whose token this is, by its hash.
    pub(super) fn find(&self, hash: &TokenHash) -> Option<Principal> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Known { principal, revoked } = known.get(hash)?;
        Some(Principal { name: principal.clone(), revoked: Some(revoked.clone()), identity: None, certificate: None })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TokensError> {
    Ok(read_guarded("tokens file", path, MAX_FILE)?)
}

fn parse(path: &Path, text: &[u8]) -> Result<Lines, TokensError> {
    lines(text).map_err(|problem| TokensError::Content { path: path.to_owned(), problem })
}

fn lines(text: &[u8]) -> Result<Lines, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
    let mut known = Lines::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (hash, entry) = entry(line).map_err(|problem| format!("line {number}: {problem}"))?;
        match known.entry(hash) {
            Entry::Occupied(_) => return Err(format!("line {number}: the same token appears on an earlier line")),
            Entry::Vacant(place) => place.insert(entry),
        };
    }
    if known.is_empty() {
        return Err("it holds no token; make one with: certmint token new NAME".to_owned());
    }
    Ok(known)
}

fn entry(line: &str) -> Result<(TokenHash, Known), &'static str> {
    let mut words = line.split_ascii_whitespace();
    let (Some(principal), Some(hash), None) = (words.next(), words.next(), words.next()) else {
        return Err("a line is a principal, a space and the SHA-256 of a token in hex");
    };
    let named = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
    if principal.len() > MAX_NAME || !principal.bytes().all(named) {
        return Err("the principal has up to 64 letters, digits, - _ . and @");
    }
    let hash = unhex(hash).ok_or("the second word is not a SHA-256 in 64 hex digits")?;
    Ok((hash, Known { principal: format!("token:{principal}").into(), revoked: CancellationToken::new() }))
}

fn unhex(text: &str) -> Option<TokenHash> {
    let mut bytes = TokenHash::default();
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn hash(token: &str) -> String {
        super::super::hash(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn find(tokens: &Tokens, token: &str) -> Option<Principal> {
        tokens.find(&super::super::hash(token.as_bytes()))
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn refused(text: &str) -> String {
        lines(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_token_is_its_principals_and_no_other_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        write(&path, &format!("# who\n\nalice {}\r\nbob {}\nbob {}\n", hash("a"), hash("b").to_uppercase(), hash("c")));
        let tokens = Tokens::load(&path).unwrap();
        let who = |token: &str| find(&tokens, token).map(|found| found.name);
        assert_eq!(tokens.count(), 3);
        assert_eq!(
            [who("a"), who("b"), who("c")],
            ["token:alice", "token:bob", "token:bob"].map(|name| Some(name.into()))
        );
        assert_eq!([who(""), who("A"), who(&hash("a"))], [None, None, None]);
    }

    #[test]
    fn a_line_that_is_taken_away_is_revoked_and_the_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        write(&path, &format!("alice {}\nbob {}\n", hash("a"), hash("b")));
        let tokens = Tokens::load(&path).unwrap();
        let revoked = |token: &str| find(&tokens, token).unwrap().revoked.unwrap();
        let (alice, bob) = (revoked("a"), revoked("b"));
        assert!(!tokens.reload().unwrap(), "nothing had changed");
        write(&path, &format!("bob {}\ncarol {}\n", hash("b"), hash("c")));
        assert!(tokens.reload().unwrap());
        assert!(alice.is_cancelled() && !bob.is_cancelled());
        assert!(find(&tokens, "a").is_none());
        write(&path, &format!("robert {}\n", hash("b")));
        tokens.reload().unwrap();
        assert!(bob.is_cancelled(), "another principal has the token now");
    }

    #[test]
    fn a_broken_file_keeps_the_tokens_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        write(&path, &format!("alice {}\n", hash("a")));
        let tokens = Tokens::load(&path).unwrap();
        for broken in ["", "alice", "alice abc\n"] {
            write(&path, broken);
            assert!(tokens.reload().is_err(), "{broken}");
        }
        fs::remove_file(&path).unwrap();
        assert!(tokens.reload().unwrap_err().to_string().contains("cannot read the tokens file"));
        let alice = find(&tokens, "a").unwrap();
        assert!(!alice.revoked.unwrap().is_cancelled());
    }

    #[test]
    fn a_file_that_others_may_write_is_refused_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        write(&path, &format!("alice {}\n", hash("a")));
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let message = Tokens::load(&path).unwrap_err().to_string();
            assert!(message.ends_with(&format!("Run: chmod go-w {}", path.display())), "{message}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Tokens::load(&path).is_ok(), "hashes may be read");
    }

    #[test]
    fn lines_that_are_wrong_are_named() {
        let good = hash("a");
        for (text, problem) in [
            ("# nothing\n".to_owned(), "it holds no token"),
            (format!("\n{good}"), "line 2: a line is a principal, a space and the SHA-256"),
            (format!("a {good} b"), "line 1: a line is a principal"),
            (format!("a/b {good}"), "line 1: the principal has up to 64"),
            (format!("{} {good}", "x".repeat(65)), "line 1: the principal has up to 64"),
            (format!("a {}", &good[1..]), "line 1: the second word is not a SHA-256"),
            (format!("a {good}\nb {good}"), "line 2: the same token appears on an earlier line"),
            ("a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(), "line 1: the second word is not a SHA-256"),
        ] {
            assert!(refused(&text).starts_with(problem), "{}", refused(&text));
        }
        let many: String = (0..20_000).map(|n| format!("p {}\n", hash(&n.to_string()))).collect();
        assert_eq!(lines(many.as_bytes()).unwrap().len(), 20_000);
    }
}
