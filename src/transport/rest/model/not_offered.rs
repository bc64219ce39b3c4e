//! Unsupported members that change the meaning of a request. Other unknown members are ignored, since clients of newer
//! API versions send them; but ignoring one of these would do something other than what was asked. Names that the gRPC
//! contract has for members with another name here are among them. The table is the whole list (docs/api.md has it too).

use serde::Deserialize;
use serde::de::{self, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// How the error of a member begins, for [`sentence`].
const MARK: &str = "not offered: ";

macro_rules! not_offered {
    ($($name:ident = $path:literal, $sentence:literal;)+) => {
        $(
            /// Nothing, `null`, or an empty value.
            #[derive(Debug, Default)]
            pub(crate) struct $name;

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    if deserializer.deserialize_any(SaysSomething)? {
                        return Err(D::Error::custom(concat!("not offered: ", stringify!($name))));
                    }
                    Ok(Self)
                }
            }
        )+

        /// Each with the path of the member, and what to do instead.
        const NOT_OFFERED: &[(&str, (&str, &str))] = &[$((stringify!($name), ($path, $sentence))),+];
    };
}

not_offered! {
    Profile = "profile", "A profile of the issuer is chosen in policy.issuer.cty.";
    Validity = "validity", "The validity is set in policy.x509_props.validity_months.";
    Options = "options", "No options are known here: leave it out.";
    PolicyProfile = "policy.profile", "A profile of the issuer is chosen in policy.issuer.cty.";
    PolicyValidity = "policy.validity", "The validity is set in policy.x509_props.validity_months.";
    PolicyOptions = "policy.options", "No options are known here: leave it out.";
    PlatformManaged = "policy.platformManaged", "Policies that the platform manages exist inside Azure only: leave it out.";
    X509Validity = "policy.x509_props.validity", "The validity is set in validity_months.";
    X509ValidityDays = "policy.x509_props.validity_days", "The validity is set in validity_months.";
    NameConstraints = "policy.x509_props.name_constraints", "Name constraints are not offered: leave it out.";
    MustStaple = "policy.x509_props.must_staple", "A profile of a LocalCA decides it: leave it out.";
    PathLength = "policy.x509_props.basic_constraints.path_length", "A path length is not offered: leave it out.";
    ReferenceProfile = "policy.issuer.profile", "A profile of the issuer is chosen in policy.issuer.cty.";
    ReferenceOptions = "policy.issuer.options", "No options are known here: leave it out.";
    IssuerValidity = "validity", "The validity of a LocalCA is set in options.validity_months.";
    IssuerKeyType = "key_type", "The keys of a LocalCA are set in options.key_type.";
    IssuerParent = "parent", "The parent of a LocalCA is set in options.parent.";
    GrpcKeyProperties = "policy.key_properties", "This is its name over gRPC; over REST it is key_props.";
    GrpcSecretProperties = "policy.secret_properties", "This is its name over gRPC; over REST it is secret_props.";
    GrpcX509Properties = "policy.x509_properties", "This is its name over gRPC; over REST it is x509_props.";
    GrpcKeyType = "policy.key_props.key_type", "This is its name over gRPC; over REST it is kty.";
    GrpcCurve = "policy.key_props.curve", "This is its name over gRPC; over REST it is crv.";
    GrpcContentType = "policy.secret_props.content_type", "This is its name over gRPC; over REST it is contentType.";
    GrpcAlternativeNames = "policy.x509_props.subject_alternative_names", "This is its name over gRPC; over REST it is sans.";
    GrpcKeyUsages = "policy.x509_props.key_usages", "This is its name over gRPC; over REST it is key_usage.";
    GrpcIpAddresses = "policy.x509_props.sans.ip_addresses", "This is its name over gRPC; over REST it is ipAddresses.";
    GrpcCertificateType = "policy.issuer.certificate_type", "This is its name over gRPC; over REST it is cty.";
    GrpcTransparency = "policy.issuer.certificate_transparency", "This is its name over gRPC; over REST it is cert_transparency.";
    GrpcPreserveOrder = "preserve_cert_order", "This is its name over gRPC; over REST it is preserveCertOrder.";
    GrpcOrganization = "organization", "This is its name over gRPC; over REST it is org_details.";
    GrpcAdministrators = "org_details.administrators", "This is its name over gRPC; over REST it is admin_details.";
    GrpcPassword = "credentials.password", "This is its name over gRPC; over REST it is pwd.";
}

/// Whether a value says something: clients send empty values for what they do not use (contract rule 16). Nothing of it is
/// kept.
struct SaysSomething;

impl<'de> Visitor<'de> for SaysSomething {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
        Ok(!text.is_empty())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut any = false;
        while items.next_element::<IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(any)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut any = false;
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(any)
    }
}

/// Which member an error of a reader is about, and what to do instead; `None` for every other error.
pub(crate) fn sentence(error: &str) -> Option<(&'static str, &'static str)> {
    let name = error.strip_prefix(MARK)?;
    let name = name.split_once(" at line ").map_or(name, |(name, _)| name);
    NOT_OFFERED.iter().find(|(known, _)| *known == name).map(|(_, found)| *found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members of the contract that Key Vault has, by the swagger.
    const SWAGGER: &str = include_str!("../../../../tests/data/azure/certificates-2026-04-01.json");

    #[test]
    fn nothing_that_key_vault_offers_is_refused_but_what_exists_in_azure_only() {
        for (_, (path, _)) in NOT_OFFERED.iter().filter(|(name, _)| *name != "PlatformManaged") {
            let member = path.rsplit('.').next().unwrap();
            assert!(!SWAGGER.contains(&format!("\"{member}\":")), "{path}");
        }
    }

    #[test]
    fn the_page_of_the_interface_lists_them_all() {
        let page = include_str!("../../../../docs/api.md");
        for (_, (path, _)) in NOT_OFFERED {
            assert!(page.contains(&format!("`{path}`")), "{path}");
        }
    }

    #[test]
    fn empty_values_say_nothing() {
        for empty in ["null", "\"\"", "[]", "{}"] {
            assert!(serde_json::from_str::<Profile>(empty).is_ok(), "{empty}");
        }
        for given in ["\"MII\"", "[1]", "[[],{}]", "{\"a\":null}", "{\"a\":[{}],\"b\":1}", "false", "0", "-1", "1.5"] {
            let error = serde_json::from_str::<Profile>(given).unwrap_err().to_string();
            assert_eq!(sentence(&error).unwrap().0, "profile", "{error}");
        }
        assert_eq!(sentence("another error"), None);
    }
}
