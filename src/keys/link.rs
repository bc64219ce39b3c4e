//! Whether one certificate issued another: by name, key identifiers and signature.

use super::algorithm_name;
use super::name_text;
use super::signature::{self, Verdict};
use super::x509::X509;
use std::collections::BTreeMap;

/// A certificate of a list.
pub(crate) struct Link<'a> {
    /// Its place in the list.
    pub(crate) index: usize,
    pub(crate) certificate: X509<'a>,
}

/// Why a certificate is not above another one.
#[derive(Clone)]
pub(crate) enum NoLink {
    /// It is not named as the issuer.
    Name,
    /// It is named, but with another key.
    KeyId,
    /// Its key did not make the signature.
    Signature,
    /// Names fit, and key identifiers where both are there, but the signature cannot be checked here:
    /// it uses this.
    Unchecked(String),
}

/// Which certificates of one list signed which, by their places. A signature is verified once, however many candidates
/// for the leaf are tried.
#[derive(Default)]
pub(crate) struct Verdicts(BTreeMap<(usize, usize), Result<(), NoLink>>);

impl Verdicts {
    /// [`Link::signed`].
    pub(crate) fn signed(&mut self, above: &Link<'_>, below: &Link<'_>) -> Result<(), NoLink> {
        self.0.entry((above.index, below.index)).or_insert_with(|| above.signed(below)).clone()
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

impl Link<'_> {
    pub(crate) fn is_self_issued(&self) -> bool {
        self.certificate.subject.same_as(&self.certificate.issuer)
    }

    /// Whether this certificate's key signed `below`.
    fn signed(&self, below: &Link<'_>) -> Result<(), NoLink> {
        let (above, below) = (&self.certificate, &below.certificate);
        if !above.subject.same_as(&below.issuer) {
            return Err(NoLink::Name);
        }
        let signed = &below.signed;
        // The algorithm stands twice, and both must say the same (RFC 5280 section 4.1.1.2).
        let verdict = if signed.algorithm.equals(&signed.inner_algorithm) {
            signature::verify(&above.key, &signed.algorithm, signed.part, signed.signature)
        } else {
            Verdict::Unchecked(format!(
                "{} and {} at once",
                algorithm_name::of_signature(&signed.algorithm),
                algorithm_name::of_signature(&signed.inner_algorithm)
            ))
        };
        match verdict {
            Verdict::Right => Ok(()),
            Verdict::Wrong => Err(NoLink::Signature),
            Verdict::Unchecked(what) => match (above.key_id(), below.issuer_key_id()) {
                (Some(own), Some(named)) if own != named => Err(NoLink::KeyId),
                _ => Err(NoLink::Unchecked(what)),
            },
        }
    }

    /// Its number and subject.
    pub(crate) fn label(&self, of: usize) -> String {
        let subject: String = name_text::text(&self.certificate.subject).chars().take(200).collect();
        format!("{} of {of} (subject \"{}\")", self.index + 1, subject.escape_debug())
    }

    /// Why it is not part of the chain.
    pub(crate) fn explain(&self, chain: &[&Link<'_>], of: usize, verdicts: &mut Verdicts) -> String {
        let me = self.label(of);
        let problem = chain.iter().find_map(|below| match verdicts.signed(self, below) {
            Ok(()) | Err(NoLink::Name) => None,
            Err(problem) => Some((below.label(of), problem)),
        });
        match problem {
            Some((below, NoLink::Signature)) => format!(
                "Certificate {me} does not link: it has the name of the issuer of certificate {below}, but did not sign it. Send the CA certificate that did."
            ),
            Some((below, NoLink::KeyId)) => format!(
                "Certificate {me} does not link: it has the name of the issuer of certificate {below}, but not the key identifier named there. Send the CA certificate that has it."
            ),
            Some((below, NoLink::Unchecked(what))) => format!(
                "Certificate {me} cannot be linked: whether it signed certificate {below} cannot be checked here, as the signature uses {what}, which is not supported. Leave out this certificate and those above it."
            ),
            Some((_, NoLink::Name)) | None => format!(
                "Certificate {me} does not link: it issued none of the other certificates of the chain. Leave it out, or add the missing intermediate certificate."
            ),
        }
    }
}
