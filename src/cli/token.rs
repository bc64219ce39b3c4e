//! `certmint token new`: a bearer token, and the line that makes a server accept it.

use super::Result;
use super::failure::{Exit, Failure};
use super::output::Output;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use zeroize::Zeroizing;

/// The commands of `certmint token`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a bearer token; it is shown once, and the server's tokens file holds only its hash
    New(NewArgs),
}

/// Arguments of `certmint token new`.
#[derive(Clone, Debug, clap::Args)]
pub struct NewArgs {
    /// Who it is for: up to 64 letters, digits, - _ . and @
    #[arg(value_parser = principal)]
    principal: String,
}

/// 256 random bits in base64url (RFC 4648 section 5), without padding: 43 characters. The hash is of these
/// characters, so `printf %s TOKEN | sha256sum` gives it as well.
pub(super) fn new(output: Output, args: &NewArgs) -> Result<Exit> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    SystemRandom::new()
        .fill(&mut *bytes)
        .map_err(|_| Failure::new(Exit::Error, "the system provides no random numbers").boxed())?;
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes));
    let hash: String = digest(&SHA256, token.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!("{} {hash}", args.principal);
    let text = || format!("token (shown only now): {}\nline for the server's tokens file: {line}", *token);
    output.result(|| json!({ "principal": args.principal, "token": *token, "line": line }), text)?;
    Ok(Exit::Done)
}

fn principal(text: &str) -> std::result::Result<String, String> {
    let named = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(named) {
        Ok(text.to_owned())
    } else {
        Err("a principal has up to 64 letters, digits, - _ . and @".to_owned())
    }
}
