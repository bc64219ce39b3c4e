//! `certmint key show|sign|verify`: operations with the private key, which stays on the server.

use super::connection::{Keys, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::trust::unreadable;
use super::{Result, json};
use crate::proto::v1::{
    GetKeyRequest, JsonWebKey, Key, KeyCurve, KeyOperation, KeyType, SignRequest, SignatureAlgorithm, VerifyRequest,
};
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What `certmint key` does.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Print the public key
    Show(KeyArgs),
    /// Sign a file; prints the signature in base64
    Sign(SignArgs),
    /// Verify a signature over a file; exits with 1 if it is not valid
    Verify(VerifyArgs),
}

/// Which key.
#[derive(Clone, Debug, clap::Args)]
pub struct KeyArgs {
    /// The certificate
    name: String,

    /// The version [default: the newest]
    #[arg(long, value_name = "VERSION", default_value = "", hide_default_value = true)]
    version: String,
}

/// Arguments of `certmint key sign`.
#[derive(Clone, Debug, clap::Args)]
pub struct SignArgs {
    #[command(flatten)]
    key: KeyArgs,

    /// What to sign; `-` for standard input. Only its digest is sent (with RSNULL the file itself)
    file: PathBuf,

    /// RS256 to RS512, PS256 to PS512, ES256, ES384, ES512, ES256K or RSNULL [default: RS256, or the one of the curve]
    #[arg(long, value_name = "ALG", value_parser = algorithm)]
    algorithm: Option<SignatureAlgorithm>,
}

/// Arguments of `certmint key verify`.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    sign: SignArgs,

    /// The signature in base64, as `sign` prints it
    #[arg(long, value_name = "BASE64", value_parser = signature)]
    signature: Signature,
}

/// A list of bytes would be a list of arguments to the parser.
#[derive(Clone, Debug)]
struct Signature(Vec<u8>);

pub(super) async fn run(session: &Session, output: Output, command: KeyCommand) -> Result<Exit> {
    match command {
        KeyCommand::Show(args) => show(session, output, &args).await,
        KeyCommand::Sign(args) => sign(session, output, args).await,
        KeyCommand::Verify(args) => verify(session, output, args).await,
    }
}

async fn show(session: &Session, output: Output, args: &KeyArgs) -> Result<Exit> {
    let key = get(session, args).await?;
    let value = jwk(&key.key.unwrap_or_default());
    output.result(|| json!({ "key": value }), || format!("{value:#}"))?;
    Ok(Exit::Done)
}

async fn sign(session: &Session, output: Output, args: SignArgs) -> Result<Exit> {
    let SignArgs { key: KeyArgs { name, version }, file, algorithm } = args;
    let (algorithm, version) = chosen(session, name.clone(), version, algorithm).await?;
    let digest = digest_of(&file, algorithm)?;
    let request = SignRequest {
        vault_name: session.vault(),
        key_name: name,
        key_version: version,
        algorithm: algorithm.into(),
        digest: digest.into(),
    };
    let answer = session.call(Repeat::Safe, request, Keys::sign);
    let answer = answer.await?;
    let signature = STANDARD.encode(&answer.signature);
    output.result(
        || json!({ "key_id": answer.key_id, "algorithm": word(algorithm), "signature": signature }),
        || signature.clone(),
    )?;
    Ok(Exit::Done)
}

async fn verify(session: &Session, output: Output, args: VerifyArgs) -> Result<Exit> {
    let VerifyArgs { sign: SignArgs { key: KeyArgs { name, version }, file, algorithm }, signature } = args;
    let (algorithm, version) = chosen(session, name.clone(), version, algorithm).await?;
    let digest = digest_of(&file, algorithm)?;
    let request = VerifyRequest {
        vault_name: session.vault(),
        key_name: name,
        key_version: version,
        algorithm: algorithm.into(),
        digest: digest.into(),
        signature: signature.0.into(),
    };
    let answer = session.call(Repeat::Safe, request, Keys::verify);
    let valid = answer.await?.valid;
    let words = if valid { "the signature is valid" } else { "the signature is not valid for this key and file" };
    output.result(|| json!({ "algorithm": word(algorithm), "valid": valid }), || words.to_owned())?;
    Ok(if valid { Exit::Done } else { Exit::Error })
}

async fn get(session: &Session, args: &KeyArgs) -> Result<Key> {
    let KeyArgs { name, version } = args;
    let request = GetKeyRequest { vault_name: session.vault(), key_name: name.clone(), key_version: version.clone() };
    let answer = session.call(Repeat::Safe, request, Keys::get_key);
    answer.await?.key.ok_or_else(|| Failure::incomplete_answer("key"))
}

/// The algorithm, and the version that it was chosen for.
async fn chosen(
    session: &Session,
    name: String,
    version: String,
    algorithm: Option<SignatureAlgorithm>,
) -> Result<(SignatureAlgorithm, String)> {
    if let Some(algorithm) = algorithm {
        return Ok((algorithm, version));
    }
    let key = get(session, &KeyArgs { name, version }).await?;
    let algorithm = match key.key.unwrap_or_default().curve() {
        KeyCurve::Unspecified => SignatureAlgorithm::Rs256,
        KeyCurve::P256 => SignatureAlgorithm::Es256,
        KeyCurve::P384 => SignatureAlgorithm::Es384,
        KeyCurve::P521 => SignatureAlgorithm::Es512,
        KeyCurve::P256k => SignatureAlgorithm::Es256k,
    };
    Ok((algorithm, key.key_version))
}

/// The digest of a file of any length; for RSNULL the file itself.
fn digest_of(path: &Path, algorithm: SignatureAlgorithm) -> Result<Vec<u8>> {
    if algorithm == SignatureAlgorithm::Rsnull {
        return whole(path).map_err(|error| unreadable(path, &error));
    }
    let hash = match &word(algorithm)[2..5] {
        "256" => &digest::SHA256,
        "384" => &digest::SHA384,
        _ => &digest::SHA512,
    };
    let mut context = digest::Context::new(hash);
    let mut add = |mut source: Box<dyn Read>| -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match source.read(&mut buffer)? {
                0 => return Ok(()),
                length => context.update(&buffer[..length]),
            }
        }
    };
    let read = if path == Path::new("-") {
        add(Box::new(io::stdin().lock()))
    } else {
        File::open(path).and_then(|file| add(Box::new(file)))
    };
    read.map_err(|error| unreadable(path, &error))?;
    Ok(context.finish().as_ref().to_vec())
}

/// The file that is signed as it is, up to more than any key can sign: the server refuses what is too long.
fn whole(path: &Path) -> io::Result<Vec<u8>> {
    const ENOUGH: u64 = 1024;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(ENOUGH).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(ENOUGH).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// `RS256` of `SIGNATURE_ALGORITHM_RS256`.
fn word(algorithm: SignatureAlgorithm) -> &'static str {
    algorithm.as_str_name().trim_start_matches("SIGNATURE_ALGORITHM_")
}

fn algorithm(text: &str) -> std::result::Result<SignatureAlgorithm, String> {
    SignatureAlgorithm::from_str_name(&format!("SIGNATURE_ALGORITHM_{}", text.to_ascii_uppercase()))
        .filter(|algorithm| *algorithm != SignatureAlgorithm::Unspecified)
        .ok_or_else(|| "use RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, ES256K or RSNULL".to_owned())
}

fn signature(text: &str) -> std::result::Result<Signature, String> {
    STANDARD.decode(text.trim()).map(Signature).map_err(|_| "it is not base64".to_owned())
}

fn jwk(key: &JsonWebKey) -> Value {
    let JsonWebKey { key_id, key_type: _, key_operations: _, n, e, curve: _, x, y } = key;
    let filled = |bytes: &[u8]| (!bytes.is_empty()).then(|| json::bytes(bytes));
    let operations: Vec<String> = key
        .key_operations()
        .map(|operation| KeyOperation::as_str_name(&operation).trim_start_matches("KEY_OPERATION_").to_lowercase())
        .collect();
    let curve = key.curve();
    json!({
        "key_id": key_id,
        "key_type": KeyType::as_str_name(&key.key_type()).trim_start_matches("KEY_TYPE_"),
        "key_operations": operations,
        "curve": (curve != KeyCurve::Unspecified).then(|| curve.as_str_name().trim_start_matches("KEY_CURVE_")),
        "n": filled(n),
        "e": filled(e),
        "x": filled(x),
        "y": filled(y),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_known_by_their_names_in_any_case() {
        assert_eq!(algorithm("es256k"), Ok(SignatureAlgorithm::Es256k));
        assert_eq!(algorithm("PS512"), Ok(SignatureAlgorithm::Ps512));
        assert!(algorithm("unspecified").is_err() && algorithm("HS256").is_err());
    }

    #[test]
    fn each_algorithm_has_the_digest_of_its_name() {
        for (name, length) in [("RS256", 32), ("PS384", 48), ("ES512", 64), ("ES256K", 32)] {
            let path = Path::new("/dev/null");
            assert_eq!(digest_of(path, algorithm(name).unwrap()).unwrap().len(), length, "{name}");
        }
    }
}
