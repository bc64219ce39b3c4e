//! A strict decoder of PKCS #12: DER alone, and no password means no bytes. It tells with which
//! structure and parameters a file was written.

use aws_lc_rs::{digest, hmac};
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7};

/// What a file holds, and how.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// PKCS #8, DER.
    pub(crate) keys: Vec<Vec<u8>>,
    /// X.509, DER.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// Everything but contents, line by line.
    pub(crate) structure: Vec<String>,
}

/// One DER value: tag, content.
type Value<'a> = (u8, &'a [u8]);

/// Opens a file that was written without a password.
pub(crate) fn open(file: &[u8]) -> Result<Opened, String> {
    let mut opened = Opened::default();
    let pfx = children(only(file, 0x30)?)?;
    let [version, safe, mac] = pfx[..] else { return Err("a PFX has three parts".into()) };
    assert_eq!(version, (2, &[3][..]));
    let (kind, content) = content_info(safe)?;
    assert_eq!(kind, "1.2.840.113549.1.7.1");
    let content = only(content, 4)?;

    let mac = children(mac.1)?;
    let [info, salt, rounds @ ..] = &mac[..] else { return Err("MacData".into()) };
    let info = children(info.1)?;
    let rounds = rounds.first().map_or(1, |rounds| number(*rounds));
    opened.structure.push(format!("mac {} salt {} rounds {rounds}", algorithm(info[0])?.0, salt.1.len()));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &derive(salt.1, rounds, 3, 20));
    hmac::verify(&key, content, info[1].1).map_err(|_| "the MAC does not verify without a password")?;

    for safe in children(only(content, 0x30)?)? {
        let (kind, content) = content_info(safe)?;
        match kind.as_str() {
            "1.2.840.113549.1.7.1" => {
                opened.structure.push("data".into());
                bags(only(content, 4)?, &mut opened)?;
            }
            "1.2.840.113549.1.7.6" => {
                let data = children(only(content, 0x30)?)?;
                let info = children(data[1].1)?;
                let [_, scheme, (0x80, ciphertext)] = info[..] else { return Err("EncryptedContentInfo".into()) };
                let (plain, how) = decrypt(scheme, ciphertext)?;
                opened.structure.push(format!("encryptedData {how}"));
                bags(&plain, &mut opened)?;
            }
            other => return Err(format!("content {other}")),
        }
    }
    Ok(opened)
}

fn bags(contents: &[u8], opened: &mut Opened) -> Result<(), String> {
    for bag in children(only(contents, 0x30)?)? {
        let parts = children(bag.1)?;
        let (kind, value) = (oid(parts[0])?, parts[1].1);
        let mut attributes = Vec::new();
        for attribute in parts.get(2).map(|set| children(set.1)).transpose()?.unwrap_or_default() {
            attributes.push(oid(children(attribute.1)?[0])?);
        }
        let how = match kind.as_str() {
            "1.2.840.113549.1.12.10.1.2" => {
                let parts = children(only(value, 0x30)?)?;
                let (key, how) = decrypt(parts[0], parts[1].1)?;
                opened.keys.push(key);
                how
            }
            "1.2.840.113549.1.12.10.1.3" => {
                let parts = children(only(value, 0x30)?)?;
                opened.certificates.push(only(parts[1].1, 4)?.to_vec());
                oid(parts[0])?
            }
            other => return Err(format!("bag {other}")),
        };
        opened.structure.push(format!("bag {kind} {how} attributes {}", attributes.join(" ")));
    }
    Ok(())
}

fn decrypt(scheme: Value<'_>, ciphertext: &[u8]) -> Result<(Vec<u8>, String), String> {
    let (name, parameters) = algorithm(scheme)?;
    let parameters = children(only(parameters, 0x30)?)?;
    let (salt, rounds) = (parameters[0].1, number(parameters[1]));
    let how = format!("{name} salt {} rounds {rounds}", salt.len());
    let iv = derive(salt, rounds, 2, 8);
    let plain = match name.as_str() {
        "1.2.840.113549.1.12.1.3" => cbc::<des::TdesEde3>(&derive(salt, rounds, 1, 24), &iv, ciphertext),
        "1.2.840.113549.1.12.1.6" => cbc::<rc2::Rc2>(&derive(salt, rounds, 1, 5), &iv, ciphertext),
        other => return Err(format!("encryption {other}")),
    };
    plain.map(|plain| (plain, how)).ok_or_else(|| "it does not decrypt without a password".into())
}

fn cbc<C: KeyInit + BlockCipherDecrypt>(key: &[u8], iv: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    cbc::Decryptor::<C>::new_from_slices(key, iv).unwrap().decrypt_padded_vec::<Pkcs7>(ciphertext).ok()
}

/// RFC 7292 appendix B.2 with SHA-1 and a password of no bytes.
fn derive(salt: &[u8], rounds: u32, purpose: u8, length: usize) -> Vec<u8> {
    let mut input: Vec<u8> = salt.iter().copied().cycle().take(salt.len().div_ceil(64) * 64).collect();
    let mut output = Vec::new();
    while output.len() < length {
        let mut hash = [vec![purpose; 64], input.clone()].concat();
        for _ in 0..rounds {
            hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &hash).as_ref().to_vec();
        }
        output.extend_from_slice(&hash);
        for block in input.chunks_mut(64) {
            let mut carry = 1;
            for (place, byte) in block.iter_mut().enumerate().rev() {
                carry += u16::from(*byte) + u16::from(hash[place % 20]);
                *byte = carry.to_le_bytes()[0];
                carry >>= 8;
            }
        }
    }
    output.truncate(length);
    output
}

fn content_info(value: Value<'_>) -> Result<(String, &[u8]), String> {
    match children(value.1)?[..] {
        [kind, (0xa0, content)] => Ok((oid(kind)?, content)),
        _ => Err("ContentInfo".into()),
    }
}

/// The name of an AlgorithmIdentifier, and its parameters.
fn algorithm(value: Value<'_>) -> Result<(String, &[u8]), String> {
    let (head, rest) = next(value.1)?;
    Ok((oid(head)?, rest))
}

fn oid(value: Value<'_>) -> Result<String, String> {
    let (6, bytes) = value else { return Err("OBJECT IDENTIFIER".into()) };
    der::asn1::ObjectIdentifier::from_bytes(bytes).map(|oid| oid.to_string()).map_err(|error| error.to_string())
}

fn number(value: Value<'_>) -> u32 {
    assert_eq!(value.0, 2);
    value.1.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn only(input: &[u8], tag: u8) -> Result<&[u8], String> {
    match next(input)? {
        ((found, content), []) if found == tag => Ok(content),
        ((found, _), rest) => Err(format!("tag {found:02x} and {} bytes in the place of {tag:02x}", rest.len())),
    }
}

fn children(mut input: &[u8]) -> Result<Vec<Value<'_>>, String> {
    let mut found = Vec::new();
    while !input.is_empty() {
        let (value, rest) = next(input)?;
        found.push(value);
        input = rest;
    }
    Ok(found)
}

/// Definite lengths, as short as they can be.
fn next(input: &[u8]) -> Result<(Value<'_>, &[u8]), String> {
    let cut = || "cut off".to_owned();
    let [tag, first, rest @ ..] = input else { return Err(cut()) };
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f)).ok_or_else(cut)?;
            let value = length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
            if length.is_empty() || length[0] == 0 || value < 0x80 {
                return Err("a length that is not DER".into());
            }
            (value, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    Ok(((*tag, content), rest))
}
