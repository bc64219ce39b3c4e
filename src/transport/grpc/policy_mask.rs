//! Field masks over policies: which members of a message are to be written.

use super::policy;
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{Error, PolicyInput, Result};
use crate::proto::v1;

/// What to write of a policy. Without a mask: what is present. With one: what it names; a list that
/// is named is written even where it is empty.
pub(super) fn change(policy: v1::CertificatePolicy, paths: Option<&[String]>) -> Result<PolicyInput> {
    let mut input = policy::input(policy)?;
    let Some(paths) = paths else {
        // An object without members says nothing.
        input.sans = input.sans.filter(|names| *names != SubjectAlternativeNames::default());
        return Ok(input);
    };
    let mut kept = PolicyInput::default();
    for path in paths {
        keep(&mut kept, &input, path)?;
        if path == "x509_properties.validity_months" {
            // Zero means "not set" in a message; a mask that names it gets an error with the valid values.
            kept.validity_months = Some(input.validity_months.unwrap_or(0));
        }
    }
    Ok(kept)
}

fn keep(kept: &mut PolicyInput, input: &PolicyInput, path: &str) -> Result<()> {
    let all = |parts: &[&str], kept: &mut PolicyInput| parts.iter().try_for_each(|part| keep(kept, input, part));
    match path {
        "key_properties" => all(
            &[
                "key_properties.exportable",
                "key_properties.key_type",
                "key_properties.key_size",
                "key_properties.reuse_key",
                "key_properties.curve",
            ],
            kept,
        )?,
        "key_properties.exportable" => kept.exportable = input.exportable,
        "key_properties.key_type" => kept.kty.clone_from(&input.kty),
        "key_properties.key_size" => kept.key_size = input.key_size,
        "key_properties.reuse_key" => kept.reuse_key = input.reuse_key,
        "key_properties.curve" => kept.curve.clone_from(&input.curve),
        "secret_properties" | "secret_properties.content_type" => kept.content_type.clone_from(&input.content_type),
        "x509_properties" => all(
            &[
                "x509_properties.subject",
                "x509_properties.ekus",
                "x509_properties.subject_alternative_names",
                "x509_properties.key_usages",
                "x509_properties.validity_months",
                "x509_properties.basic_constraints",
            ],
            kept,
        )?,
        "x509_properties.subject" => kept.subject = Some(input.subject.clone().unwrap_or_default()),
        "x509_properties.ekus" => kept.ekus = Some(input.ekus.clone().unwrap_or_default()),
        "x509_properties.subject_alternative_names" => kept.sans = Some(input.sans.clone().unwrap_or_default()),
        "x509_properties.key_usages" => kept.key_usage = Some(input.key_usage.clone().unwrap_or_default()),
        "x509_properties.validity_months" => kept.validity_months = input.validity_months,
        "x509_properties.basic_constraints" | "x509_properties.basic_constraints.ca" => kept.ca = input.ca,
        "lifetime_actions" => kept.lifetime_actions = Some(input.lifetime_actions.clone().unwrap_or_default()),
        "issuer" => all(&["issuer.name", "issuer.certificate_type", "issuer.certificate_transparency"], kept)?,
        "issuer.name" => kept.issuer_name.clone_from(&input.issuer_name),
        "issuer.certificate_type" => kept.certificate_type.clone_from(&input.certificate_type),
        "issuer.certificate_transparency" => kept.certificate_transparency = input.certificate_transparency,
        "attributes" | "attributes.enabled" => kept.enabled = input.enabled,
        other => return Err(unknown(other)),
    }
    Ok(())
}

/// A path of a mask that names no field to write.
pub(super) fn unknown(path: &str) -> Error {
    let path: String = path.chars().take(60).collect();
    Error::field("update_mask", format!("{path} is not a field that can be written."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> v1::CertificatePolicy {
        v1::CertificatePolicy {
            issuer: Some(v1::IssuerParameters { name: "Self".into(), ..Default::default() }),
            x509_properties: Some(v1::X509Properties {
                subject_alternative_names: Some(v1::SubjectAlternativeNames::default()),
                validity_months: 3,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn without_a_mask_what_is_present_is_written() {
        let input = change(message(), None).unwrap();
        let expected =
            PolicyInput { issuer_name: Some("Self".into()), validity_months: Some(3), ..PolicyInput::default() };
        assert_eq!(input, expected);
    }

    #[test]
    fn a_mask_chooses_and_empties_lists() {
        let paths = ["x509_properties.ekus", "x509_properties.subject_alternative_names", "issuer"].map(String::from);
        let input = change(message(), Some(&paths)).unwrap();
        let expected = PolicyInput {
            issuer_name: Some("Self".into()),
            ekus: Some(Vec::new()),
            sans: Some(SubjectAlternativeNames::default()),
            ..PolicyInput::default()
        };
        assert_eq!(input, expected);
    }

    #[test]
    fn a_path_without_a_field_is_refused() {
        for path in ["id", "x509_properties.nothing", "", "attributes.created"] {
            assert!(change(message(), Some(&[path.to_owned()])).is_err(), "{path}");
        }
    }
}
