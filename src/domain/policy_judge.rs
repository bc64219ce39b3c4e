//! Validation of a policy: its members, each by itself and against each other. This is the only place for it: creation,
//! changes, imports and issuers all use it.

use super::attribute_type::{AttributeType, Form, is_oid};
use super::policy::{KeyUsage, Policy};
use super::policy_input::{MAX_EKUS, MAX_SUBJECT, MAX_VALIDITY_MONTHS, PolicyInput};
use super::san::{SubjectAlternativeNames, each_once};
use super::subject::{AttributeValue, DistinguishedName, der_text};
use super::text::{self, shown};
use super::{Detail, Error, Reason, Result, Timestamp, san_rules};

/// Longest name of a type of certificate, in characters.
const MAX_CERTIFICATE_TYPE: usize = 256;

/// The members of a policy by the paths in errors, in the order in which problems are reported.
const MEMBERS: [&str; 10] = [
    "key_props",
    "secret_props",
    "issuer",
    "x509_props.validity_months",
    "lifetime_actions",
    "x509_props.subject",
    "x509_props.sans",
    "x509_props.ekus",
    "x509_props.key_usage",
    "x509_props.basic_constraints",
];
const KEY: usize = 0;
const CONTENT_TYPE: usize = 1;
const ISSUER: usize = 2;
const VALIDITY: usize = 3;
const ACTIONS: usize = 4;
const SUBJECT: usize = 5;
const SANS: usize = 6;
const EKUS: usize = 7;
const USAGES: usize = 8;
const CA: usize = 9;

/// The members that a request names. What it does not name was judged before, or came with an import, and stays
/// unjudged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Scope([bool; MEMBERS.len()]);

impl Scope {
    /// All members, as for a creation.
    pub const WHOLE: Self = Self([true; MEMBERS.len()]);

    /// The members of a change, and what follows from them.
    pub fn of(input: &PolicyInput) -> Self {
        let PolicyInput {
            exportable: _,
            kty,
            key_size,
            curve,
            reuse_key: _,
            content_type,
            subject,
            sans,
            ekus,
            key_usage,
            validity_months,
            ca,
            lifetime_actions,
            issuer_name,
            certificate_type,
            certificate_transparency: _,
            enabled: _,
        } = input;
        let mut scope = Self([false; MEMBERS.len()]);
        for (member, named) in [
            (KEY, kty.is_some() || key_size.is_some() || curve.is_some()),
            (CONTENT_TYPE, content_type.is_some()),
            (ISSUER, issuer_name.is_some() || certificate_type.is_some()),
            (VALIDITY, validity_months.is_some()),
            // The days before the end are bounded by the validity.
            (ACTIONS, lifetime_actions.is_some() || validity_months.is_some()),
            (SUBJECT, subject.is_some()),
            (SANS, sans.is_some()),
            (EKUS, ekus.is_some()),
            (USAGES, key_usage.is_some()),
            (CA, ca.is_some()),
        ] {
            scope.0[member] = named;
        }
        scope
    }

    fn any(self, members: &[usize]) -> bool {
        members.iter().any(|member| self.0[*member])
    }
}

/// All that is wrong with a policy.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<(String, String)>);

impl Problems {
    /// The path begins with one of [`MEMBERS`].
    pub(super) fn add(&mut self, path: &str, problem: impl Into<String>) {
        self.0.push((path.to_owned(), problem.into()));
    }

    /// Drops problems of members out of scope: stored values are valid, or came with an import.
    pub(super) fn keep(&mut self, scope: Scope) {
        self.0.retain(|(path, _)| scope.any(&[member(path)]));
    }

    pub(super) fn into_result(mut self) -> Result<()> {
        self.0.sort_by_key(|(path, _)| member(path));
        let problems: Vec<_> = self.0.into_iter().map(|(path, problem)| (format!("policy.{path}"), problem)).collect();
        if problems.is_empty() { Ok(()) } else { Err(refusal(problems)) }
    }
}

/// The refusal for these problems, each with the path of its member.
pub(super) fn refusal(problems: Vec<(String, String)>) -> Error {
    let Some((path, problem)) = problems.first() else { return Error::internal() };
    let more = match problems.len() {
        1 => String::new(),
        n => format!(" ({} more invalid properties: see the details)", n - 1),
    };
    let mut error = Error::new(Reason::BadParameter, format!("Property {path} has invalid value. {problem}{more}"));
    error.details = problems.into_iter().map(|(path, problem)| Detail::Field { path, problem }).collect();
    error
}

fn member(path: &str) -> usize {
    MEMBERS.iter().position(|member| path.starts_with(member)).unwrap_or(MEMBERS.len() - 1)
}

impl Policy {
    /// The policy for a certificate that is made now, after the stored one. What came with an import is judged here for
    /// the first time.
    ///
    /// # Errors
    /// As [`Policy::judge`].
    pub fn renewed(self, now: Timestamp) -> Result<Self> {
        self.judge()?;
        Ok(Self { updated: now, ..self.without_repetitions(Scope::WHOLE) })
    }

    /// Refuses where no certificate can be made of it.
    ///
    /// # Errors
    /// `BadParameter`, with every member that is wrong.
    pub fn judge(&self) -> Result<()> {
        let mut bad = Problems::default();
        judge(self, Scope::WHOLE, &mut bad);
        bad.into_result()
    }

    /// Each name and each usage in scope once, as a certificate says them.
    #[must_use]
    pub(super) fn without_repetitions(mut self, scope: Scope) -> Self {
        if scope.any(&[SANS]) {
            self.x509.sans = self.x509.sans.map(SubjectAlternativeNames::without_repetitions);
        }
        if scope.any(&[EKUS]) {
            self.x509.ekus = each_once(self.x509.ekus, String::clone);
        }
        self
    }
}

/// Adds what is wrong with the members in scope, and between them and the others.
pub(super) fn judge(policy: &Policy, scope: Scope, bad: &mut Problems) {
    judge_names(policy, scope, bad);
    judge_purposes(policy, scope, bad);
    judge_usages(policy, scope, bad);
    if let Some(problem) = validity_problem(policy.x509.validity_months.into()).filter(|_| scope.any(&[VALIDITY])) {
        bad.add(MEMBERS[VALIDITY], problem);
    }
    if let Some(kind) = policy.issuer.certificate_type.as_deref().filter(|_| scope.any(&[ISSUER])) {
        if kind.chars().count() > MAX_CERTIFICATE_TYPE {
            bad.add("issuer.cty", format!("Longer than {MAX_CERTIFICATE_TYPE} characters."));
        } else if let Some(problem) = text::problem(kind) {
            bad.add("issuer.cty", problem);
        }
    }
}

/// What is wrong with a validity in months.
pub(super) fn validity_problem(months: i64) -> Option<String> {
    let fits = (1..=MAX_VALIDITY_MONTHS).contains(&months);
    (!fits).then(|| format!("{months} is out of range: use 1 to {MAX_VALIDITY_MONTHS}."))
}

fn judge_names(policy: &Policy, scope: Scope, bad: &mut Problems) {
    let (subject, sans) = (&policy.x509.subject, policy.x509.sans.as_ref());
    // What is too long is not read. The subject of an imported certificate may be longer, and is out of scope then.
    let name = (subject.chars().count() <= MAX_SUBJECT).then(|| DistinguishedName::parse(subject));
    if scope.any(&[SUBJECT]) {
        match &name {
            None => bad.add(MEMBERS[SUBJECT], format!("Longer than {MAX_SUBJECT} characters.")),
            Some(Err(error)) => bad.add(MEMBERS[SUBJECT], format!("Invalid X.500 distinguished name: {error}")),
            Some(Ok(name)) => {
                if let Some(problem) = text::problem(subject).or_else(|| name_problem(name)) {
                    bad.add(MEMBERS[SUBJECT], problem);
                }
            }
        }
    }
    if scope.any(&[SANS]) {
        for (member, problem) in sans.map(SubjectAlternativeNames::problems).unwrap_or_default() {
            let dot = if member.is_empty() { "" } else { "." };
            bad.add(&format!("{}{dot}{member}", MEMBERS[SANS]), problem);
        }
    }
    if !name.is_some_and(|name| name.is_ok_and(|name| name.parts.is_empty())) {
        return;
    }
    if sans.is_none_or(SubjectAlternativeNames::is_empty) {
        if scope.any(&[SUBJECT, SANS]) {
            bad.add(MEMBERS[SUBJECT], "Either a subject or a subject alternative name is needed.");
        }
    } else if policy.issuer.is_self() && scope.any(&[SUBJECT, SANS, ISSUER]) {
        bad.add(
            MEMBERS[SUBJECT],
            "A self-signed certificate needs a subject: it is its own issuer, and the issuer name must not be empty \
             (RFC 5280 section 4.1.2.4). Use one such as CN=example.com.",
        );
    }
}

/// What is wrong with a value of a name that can be read.
fn name_problem(name: &DistinguishedName) -> Option<String> {
    name.parts.iter().flatten().find_map(|attribute| {
        let value = match &attribute.value {
            AttributeValue::Text(text) => text.clone(),
            AttributeValue::Der(der) => der_text(der)?,
        };
        let known = AttributeType::of(&attribute.oid);
        let word = known.and_then(|known| known.keywords.first()).copied().unwrap_or(&attribute.oid);
        if let Some(problem) = text::problem(&value) {
            return Some(format!("The value of {word}: {problem}"));
        }
        if value.trim() != value {
            return Some(format!("The value of {word} begins or ends with a space: remove it."));
        }
        if known.is_some_and(|known| known.form == Form::Email)
            && let Some(problem) = san_rules::email_problem(&value)
        {
            return Some(format!("The value of {word}: {problem}"));
        }
        None
    })
}

fn judge_purposes(policy: &Policy, scope: Scope, bad: &mut Problems) {
    let ekus = &policy.x509.ekus;
    if !scope.any(&[EKUS]) {
        return;
    }
    if ekus.len() > MAX_EKUS {
        bad.add(MEMBERS[EKUS], format!("More than {MAX_EKUS} entries."));
        return;
    }
    for (index, oid) in ekus.iter().enumerate().filter(|(_, oid)| !is_oid(oid)) {
        bad.add(
            &format!("{}[{index}]", MEMBERS[EKUS]),
            format!("{} is not an object identifier such as 1.3.6.1.5.5.7.3.1.", shown(oid)),
        );
    }
}

/// Key Vault takes every list, and its clients send what a key cannot do or a certificate may not say (Terraform's
/// examples ask for all usages). Only the supported part of such a list is signed. A list of
/// which nothing is possible is refused, and what contradicts itself.
fn judge_usages(policy: &Policy, scope: Scope, bad: &mut Problems) {
    let (x509, key) = (&policy.x509, policy.key.key_type);
    let has = |usage| x509.key_usage.contains(&usage);
    let kind = if key.is_rsa() { "An RSA key" } else { "An EC key" };
    if scope.any(&[USAGES]) {
        for usage in [KeyUsage::EncipherOnly, KeyUsage::DecipherOnly] {
            if has(usage) && !has(KeyUsage::KeyAgreement) {
                bad.add(
                    MEMBERS[USAGES],
                    format!("{} is defined only together with keyAgreement (RFC 5280 section 4.2.1.3): add keyAgreement, or remove this usage.", usage.name()),
                );
            }
        }
    }
    if scope.any(&[USAGES, KEY]) && !x509.key_usage.is_empty() && !x509.key_usage.iter().any(|usage| key.can(*usage)) {
        let all = KeyUsage::ALL.into_iter().filter(|usage| key.can(*usage) && *usage != KeyUsage::KeyCertSign);
        let names: Vec<_> = all.map(KeyUsage::name).collect();
        bad.add(
            MEMBERS[USAGES],
            format!("{kind} supports none of these usages: use one or more of {}.", names.join(", ")),
        );
    } else if scope.any(&[USAGES, KEY, CA]) && has(KeyUsage::KeyCertSign) && x509.usages_to_sign(key).is_empty() {
        bad.add(
            MEMBERS[USAGES],
            "keyCertSign is for the certificate of a CA (RFC 5280 section 4.2.1.9): set basic_constraints.ca to true, \
             or add a usage such as digitalSignature.",
        );
    }
    if scope.any(&[USAGES, CA]) && x509.ca && !x509.key_usage.is_empty() && !has(KeyUsage::KeyCertSign) {
        bad.add(
            MEMBERS[USAGES],
            "The certificate of a CA signs certificates (RFC 5280 section 4.2.1.3): add keyCertSign, or set \
             basic_constraints.ca to false.",
        );
    }
}

#[cfg(test)]
#[path = "policy_judge_tests.rs"]
mod tests;
