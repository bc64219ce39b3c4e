//! Field masks over policies: which members of a message are to be written.

use super::policy;
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{Error, PolicyInput, Result};
use crate::proto::v1;

/// What to write of a policy. Without a mask: what is present. With one: what it names; what is named and absent gets
/// its default, as for lists to be empty (AIP-134), and is refused where that would say something that nobody wrote:
/// a key becomes exportable in no such way.
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
        keep_absent(&mut kept, &input, path)?;
    }
    Ok(kept)
}

/// What a path alone says of a field that is absent; within a message that is named as a whole it stays as it is.
fn keep_absent(kept: &mut PolicyInput, input: &PolicyInput, path: &str) -> Result<()> {
    // Each of these completes the others.
    let no_key = input.kty.is_none() && input.key_size.is_none() && input.curve.is_none();
    let has_no_value = match path {
        // Zero means "not set" in a message; a mask that names it gets an error with the valid values.
        "x509_properties.validity_months" => {
            kept.validity_months = Some(input.validity_months.unwrap_or(0));
            false
        }
        "secret_properties.content_type" => {
            kept.content_type.get_or_insert_default();
            false
        }
        "issuer.name" => {
            kept.issuer_name.get_or_insert_default();
            false
        }
        "key_properties.key_type" | "key_properties.key_size" | "key_properties.curve" => no_key,
        "key_properties.exportable" => input.exportable.is_none(),
        "issuer.certificate_transparency" => input.certificate_transparency.is_none(),
        "attributes.enabled" => input.enabled.is_none(),
        _ => false,
    };
    if has_no_value {
        return Err(no_value(path));
    }
    Ok(())
}

/// A path of a mask to a field that is absent and has no default to go back to.
pub(super) fn no_value(path: &str) -> Error {
    Error::field("update_mask", format!("{path} is named, but there is no value for it: give one, or leave it out."))
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
        "key_properties.reuse_key" => kept.reuse_key = Some(input.reuse_key.unwrap_or(false)),
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
        "x509_properties.basic_constraints" | "x509_properties.basic_constraints.ca" => {
            kept.ca = Some(input.ca.unwrap_or(false));
        }
        "lifetime_actions" => kept.lifetime_actions = Some(input.lifetime_actions.clone().unwrap_or_default()),
        "issuer" => all(&["issuer.name", "issuer.certificate_type", "issuer.certificate_transparency"], kept)?,
        "issuer.name" => kept.issuer_name.clone_from(&input.issuer_name),
        "issuer.certificate_type" => kept.certificate_type = Some(input.certificate_type.clone().unwrap_or_default()),
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
            certificate_type: Some(String::new()),
            ekus: Some(Vec::new()),
            sans: Some(SubjectAlternativeNames::default()),
            ..PolicyInput::default()
        };
        assert_eq!(input, expected);
    }

    #[test]
    fn what_is_named_and_absent_gets_its_default_or_is_refused() {
        let change = |path: &str| change(v1::CertificatePolicy::default(), Some(&[path.to_owned()]));
        let empty = PolicyInput::default;
        for (path, expected) in [
            ("key_properties.reuse_key", PolicyInput { reuse_key: Some(false), ..empty() }),
            ("secret_properties.content_type", PolicyInput { content_type: Some(String::new()), ..empty() }),
            ("x509_properties.subject", PolicyInput { subject: Some(String::new()), ..empty() }),
            ("x509_properties.ekus", PolicyInput { ekus: Some(Vec::new()), ..empty() }),
            ("x509_properties.key_usages", PolicyInput { key_usage: Some(Vec::new()), ..empty() }),
            ("x509_properties.validity_months", PolicyInput { validity_months: Some(0), ..empty() }),
            ("x509_properties.basic_constraints", PolicyInput { ca: Some(false), ..empty() }),
            ("x509_properties.basic_constraints.ca", PolicyInput { ca: Some(false), ..empty() }),
            ("lifetime_actions", PolicyInput { lifetime_actions: Some(Vec::new()), ..empty() }),
            ("issuer.name", PolicyInput { issuer_name: Some(String::new()), ..empty() }),
            ("issuer.certificate_type", PolicyInput { certificate_type: Some(String::new()), ..empty() }),
        ] {
            assert_eq!(change(path).unwrap(), expected, "{path}");
        }
        for path in [
            "key_properties.exportable",
            "key_properties.key_type",
            "key_properties.key_size",
            "key_properties.curve",
            "issuer.certificate_transparency",
            "attributes.enabled",
        ] {
            let error = change(path).unwrap_err().message;
            assert!(error.contains("update_mask") && error.contains(path), "{error}");
        }
        // The others are not asked for in one that is named as a whole.
        let key = change("key_properties").unwrap();
        assert_eq!(key, PolicyInput { reuse_key: Some(false), ..empty() });
    }

    #[test]
    fn a_path_without_a_field_is_refused() {
        for path in ["id", "x509_properties.nothing", "", "attributes.created"] {
            assert!(change(message(), Some(&[path.to_owned()])).is_err(), "{path}");
        }
    }
}
