//! Bodies of requests. Every member may be missing or null, and an empty object counts as absent: clients send plenty
//! of both (contract rule 16).

use super::not_offered::{
    GrpcAdministrators, GrpcOrganization, GrpcPassword, GrpcPreserveOrder, IssuerKeyType, IssuerParent, IssuerValidity,
    Options, Profile, Validity,
};
use super::policy::PolicyBody;
use crate::domain::issuer::{Administrator, Organization};
use crate::domain::profile::{ProfileText, ProfilesInput};
use crate::domain::{IssuerInput, Tags};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// `POST /certificates/{name}/create`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CreateBody {
    pub(crate) policy: Option<PolicyBody>,
    pub(crate) attributes: Option<AttributesBody>,
    pub(crate) tags: Option<TagsBody>,
    #[serde(rename = "preserveCertOrder")]
    pub(crate) preserve_cert_order: Option<bool>,
    #[serde(rename = "preserve_cert_order")]
    pub(crate) grpc: GrpcPreserveOrder,
    /// PEM, or the base64 of DER.
    pub(crate) csr: Option<String>,
    pub(crate) profile: Profile,
    pub(crate) validity: Validity,
    pub(crate) options: Options,
}

/// `POST /certificates/{name}/renew`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RenewBody {
    /// A label for renewals that belong together.
    pub(crate) batch: Option<String>,
}

/// `PATCH /certificates/{name}/pending`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CancelBody {
    pub(crate) cancellation_requested: Option<bool>,
}

/// `POST /certificates/{name}/pending/merge`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct MergeBody {
    pub(crate) x5c: Option<Vec<String>>,
    pub(crate) attributes: Option<AttributesBody>,
    pub(crate) tags: Option<TagsBody>,
}

/// `POST /certificates/issuers/{issuer}/ca/install`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct InstallBody {
    pub(crate) x5c: Option<Vec<String>>,
}

/// `POST /certificates/{name}/import`. It holds a private key, so it has no `Debug`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct ImportBody {
    pub(crate) value: Option<String>,
    pub(crate) pwd: Option<String>,
    pub(crate) policy: Option<PolicyBody>,
    pub(crate) attributes: Option<AttributesBody>,
    pub(crate) tags: Option<TagsBody>,
    #[serde(rename = "preserveCertOrder")]
    pub(crate) preserve_cert_order: Option<bool>,
    #[serde(rename = "preserve_cert_order")]
    pub(crate) grpc: GrpcPreserveOrder,
}

/// `POST /keys/{name}/{version}/{operation}`. The value may be a key, so it has no `Debug`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct KeyOperationBody {
    pub(crate) alg: Option<String>,
    pub(crate) value: Option<String>,
    /// Of a verification, whose `value` is the signature.
    pub(crate) digest: Option<String>,
}

/// `POST …/revoke`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RevokeBody {
    /// A word of RFC 5280.
    pub(crate) reason: Option<String>,
    /// Seconds since 1970.
    pub(crate) invalidity_time: Option<i64>,
    pub(crate) disable: Option<bool>,
}

/// Only `enabled` is read. Clients send the dates back as they got them, and other ones are passed over as well: the
/// times of a certificate are its own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AttributesBody {
    pub(crate) enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct TagsBody(BTreeMap<String, Option<String>>);

impl From<TagsBody> for Tags {
    fn from(tags: TagsBody) -> Self {
        tags.0.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// `PUT` and `PATCH /certificates/issuers/{name}`. It holds a password, so it has no `Debug`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct IssuerBody {
    provider: Option<String>,
    credentials: Option<CredentialsBody>,
    org_details: Option<OrganizationBody>,
    attributes: Option<AttributesBody>,
    options: Option<BTreeMap<String, OptionText>>,
    secret_options: Option<BTreeMap<String, OptionText>>,
    /// Each is set, or removed with `null`.
    profiles: Option<BTreeMap<String, Option<ProfileText>>>,
    default_profile: Option<String>,
    validity: IssuerValidity,
    key_type: IssuerKeyType,
    parent: IssuerParent,
    organization: GrpcOrganization,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CredentialsBody {
    account_id: Option<String>,
    pwd: Option<String>,
    password: GrpcPassword,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OrganizationBody {
    id: Option<String>,
    admin_details: Option<Vec<AdministratorBody>>,
    administrators: GrpcAdministrators,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AdministratorBody {
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
}

impl From<IssuerBody> for IssuerInput {
    fn from(body: IssuerBody) -> Self {
        let IssuerBody {
            provider,
            credentials,
            org_details,
            attributes,
            options,
            secret_options,
            profiles,
            default_profile,
            validity: IssuerValidity,
            key_type: IssuerKeyType,
            parent: IssuerParent,
            organization: GrpcOrganization,
        } = body;
        let CredentialsBody { account_id, pwd, password: GrpcPassword } = credentials.unwrap_or_default();
        let organization = org_details.map(Organization::from).filter(|given| *given != Organization::default());
        Self {
            provider,
            account_id,
            password: pwd.map(Zeroizing::new),
            organization,
            enabled: attributes.unwrap_or_default().enabled,
            options: texts(options).map(|(name, text)| (name, text.to_string())).collect(),
            secret_options: texts(secret_options).collect(),
            profiles: ProfilesInput {
                profiles: profiles.unwrap_or_default(),
                default: default_profile.filter(|name| !name.is_empty()),
            },
        }
    }
}

/// The text of an option; true, false and whole numbers may stand as such. It may be a secret, so it has no `Debug`.
struct OptionText(Zeroizing<String>);

impl<'de> Deserialize<'de> for OptionText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OptionVisitor)
    }
}

struct OptionVisitor;

impl OptionVisitor {
    fn text<E: de::Error>(text: impl ToString) -> Result<OptionText, E> {
        Ok(OptionText(Zeroizing::new(text.to_string())))
    }
}

impl Visitor<'_> for OptionVisitor {
    type Value = OptionText;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text, true, false or a whole number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OptionText, E> {
        Self::text(text)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<OptionText, E> {
        Self::text(flag)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<OptionText, E> {
        Self::text(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<OptionText, E> {
        Self::text(number)
    }

    fn visit_unit<E: de::Error>(self) -> Result<OptionText, E> {
        Self::text("")
    }
}

fn texts(options: Option<BTreeMap<String, OptionText>>) -> impl Iterator<Item = (String, Zeroizing<String>)> {
    options.unwrap_or_default().into_iter().map(|(name, OptionText(text))| (name, text))
}

impl From<OrganizationBody> for Organization {
    fn from(body: OrganizationBody) -> Self {
        let OrganizationBody { id, admin_details, administrators: GrpcAdministrators } = body;
        let without_administrators = admin_details.as_ref().is_some_and(Vec::is_empty);
        let administrators = admin_details.unwrap_or_default().into_iter().map(Administrator::from).collect();
        Self { id, administrators, without_administrators }
    }
}

impl From<AdministratorBody> for Administrator {
    fn from(body: AdministratorBody) -> Self {
        let AdministratorBody { first_name, last_name, email, phone } = body;
        Self { first_name, last_name, email, phone }
    }
}
