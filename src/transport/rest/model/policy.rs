//! The policy of a certificate, in requests and answers.

use super::super::answer::Links;
use super::Attributes;
use super::not_offered::{
    GrpcAlternativeNames, GrpcCertificateType, GrpcContentType, GrpcCurve, GrpcIpAddresses, GrpcKeyProperties,
    GrpcKeyType, GrpcKeyUsages, GrpcSecretProperties, GrpcTransparency, GrpcX509Properties, MustStaple,
    NameConstraints, PathLength, PlatformManaged, PolicyOptions, PolicyProfile, PolicyValidity, ReferenceOptions,
    ReferenceProfile, X509Validity, X509ValidityDays,
};
use super::requests::AttributesBody;
use crate::domain::policy::{IssuerParameters, LifetimeAction, Policy, Trigger, X509Properties};
use crate::domain::policy_input::LifetimeActionInput;
use crate::domain::san::{EmptyLists, SubjectAlternativeNames};
use crate::domain::{CertificateName, PolicyInput};
use serde::{Deserialize, Serialize};

/// A policy as it is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PolicyBody {
    key_props: Option<KeyBody>,
    secret_props: Option<SecretBody>,
    x509_props: Option<X509Body>,
    lifetime_actions: Option<Vec<LifetimeBody>>,
    issuer: Option<IssuerReferenceBody>,
    attributes: Option<AttributesBody>,
    profile: PolicyProfile,
    validity: PolicyValidity,
    options: PolicyOptions,
    #[serde(rename = "platformManaged")]
    platform_managed: PlatformManaged,
    key_properties: GrpcKeyProperties,
    secret_properties: GrpcSecretProperties,
    x509_properties: GrpcX509Properties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct KeyBody {
    exportable: Option<bool>,
    kty: Option<String>,
    key_size: Option<i64>,
    reuse_key: Option<bool>,
    crv: Option<String>,
    key_type: GrpcKeyType,
    curve: GrpcCurve,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SecretBody {
    #[serde(rename = "contentType")]
    content_type: Option<String>,
    #[serde(rename = "content_type")]
    grpc: GrpcContentType,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct X509Body {
    subject: Option<String>,
    sans: Option<SansBody>,
    ekus: Option<Vec<String>>,
    key_usage: Option<Vec<String>>,
    validity_months: Option<i64>,
    basic_constraints: Option<ConstraintsBody>,
    validity: X509Validity,
    validity_days: X509ValidityDays,
    name_constraints: NameConstraints,
    must_staple: MustStaple,
    subject_alternative_names: GrpcAlternativeNames,
    key_usages: GrpcKeyUsages,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SansBody {
    emails: Option<Vec<String>>,
    dns_names: Option<Vec<String>>,
    upns: Option<Vec<String>>,
    uris: Option<Vec<String>>,
    #[serde(rename = "ipAddresses")]
    ip_addresses: Option<Vec<String>>,
    #[serde(rename = "ip_addresses")]
    grpc: GrpcIpAddresses,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConstraintsBody {
    ca: Option<bool>,
    path_length: PathLength,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LifetimeBody {
    trigger: Option<TriggerBody>,
    action: Option<ActionBody>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TriggerBody {
    lifetime_percentage: Option<i64>,
    days_before_expiry: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ActionBody {
    action_type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct IssuerReferenceBody {
    name: Option<String>,
    cty: Option<String>,
    cert_transparency: Option<bool>,
    profile: ReferenceProfile,
    options: ReferenceOptions,
    certificate_type: GrpcCertificateType,
    certificate_transparency: GrpcTransparency,
}

impl PolicyBody {
    /// `None` if nothing was set, whatever empty objects were sent.
    pub(crate) fn into_input(self) -> Option<PolicyInput> {
        let input = PolicyInput::from(self);
        (input != PolicyInput::default()).then_some(input)
    }

    /// As a change of what is stored: one client sends `"sans":{}` with every change, and an empty
    /// object must not clear what is there. An empty list in it does.
    pub(crate) fn into_change(mut self) -> Option<PolicyInput> {
        if let Some(x509) = &mut self.x509_props {
            x509.sans = x509.sans.take().filter(SansBody::says_something);
        }
        self.into_input()
    }
}

impl From<PolicyBody> for PolicyInput {
    fn from(body: PolicyBody) -> Self {
        let PolicyBody {
            key_props,
            secret_props,
            x509_props,
            lifetime_actions,
            issuer,
            attributes,
            profile: PolicyProfile,
            validity: PolicyValidity,
            options: PolicyOptions,
            platform_managed: PlatformManaged,
            key_properties: GrpcKeyProperties,
            secret_properties: GrpcSecretProperties,
            x509_properties: GrpcX509Properties,
        } = body;
        let KeyBody { exportable, kty, key_size, reuse_key, crv, key_type: GrpcKeyType, curve: GrpcCurve } =
            key_props.unwrap_or_default();
        let SecretBody { content_type, grpc: GrpcContentType } = secret_props.unwrap_or_default();
        let X509Body {
            subject,
            sans,
            ekus,
            key_usage,
            validity_months,
            basic_constraints,
            validity: X509Validity,
            validity_days: X509ValidityDays,
            name_constraints: NameConstraints,
            must_staple: MustStaple,
            subject_alternative_names: GrpcAlternativeNames,
            key_usages: GrpcKeyUsages,
        } = x509_props.unwrap_or_default();
        let ConstraintsBody { ca, path_length: PathLength } = basic_constraints.unwrap_or_default();
        let IssuerReferenceBody {
            name,
            cty,
            cert_transparency,
            profile: ReferenceProfile,
            options: ReferenceOptions,
            certificate_type: GrpcCertificateType,
            certificate_transparency: GrpcTransparency,
        } = issuer.unwrap_or_default();
        Self {
            exportable,
            kty,
            key_size,
            curve: crv,
            reuse_key,
            content_type,
            subject,
            sans: sans.map(SubjectAlternativeNames::from),
            ekus,
            key_usage,
            validity_months,
            ca,
            lifetime_actions: lifetime_actions.map(|all| all.into_iter().map(LifetimeActionInput::from).collect()),
            issuer_name: name,
            certificate_type: cty,
            certificate_transparency: cert_transparency,
            enabled: attributes.unwrap_or_default().enabled,
        }
    }
}

impl SansBody {
    fn says_something(&self) -> bool {
        let Self { emails, dns_names, upns, uris, ip_addresses, grpc: GrpcIpAddresses } = self;
        [emails, dns_names, upns, uris, ip_addresses].into_iter().any(Option::is_some)
    }
}

impl From<SansBody> for SubjectAlternativeNames {
    fn from(body: SansBody) -> Self {
        let SansBody { emails, dns_names, upns, uris, ip_addresses, grpc: GrpcIpAddresses } = body;
        let empty = |list: &Option<Vec<String>>| list.as_ref().is_some_and(Vec::is_empty);
        let shown_empty = EmptyLists {
            emails: empty(&emails),
            dns_names: empty(&dns_names),
            upns: empty(&upns),
            uris: empty(&uris),
            ip_addresses: empty(&ip_addresses),
        };
        Self {
            shown_empty,
            emails: emails.unwrap_or_default(),
            dns_names: dns_names.unwrap_or_default(),
            upns: upns.unwrap_or_default(),
            uris: uris.unwrap_or_default(),
            ip_addresses: ip_addresses.unwrap_or_default(),
        }
    }
}

impl From<LifetimeBody> for LifetimeActionInput {
    fn from(body: LifetimeBody) -> Self {
        let LifetimeBody { trigger, action } = body;
        let TriggerBody { lifetime_percentage, days_before_expiry } = trigger.unwrap_or_default();
        Self { lifetime_percentage, days_before_expiry, action: action.unwrap_or_default().action_type }
    }
}

/// A policy as it is answered.
#[derive(Serialize)]
pub(crate) struct PolicyAnswer<'a> {
    id: String,
    key_props: KeyAnswer,
    secret_props: SecretAnswer,
    x509_props: X509Answer<'a>,
    lifetime_actions: Vec<LifetimeAnswer>,
    issuer: IssuerReferenceAnswer<'a>,
    attributes: Attributes,
}

#[derive(Serialize)]
struct KeyAnswer {
    exportable: bool,
    kty: &'static str,
    key_size: u32,
    reuse_key: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
}

#[derive(Serialize)]
struct SecretAnswer {
    #[serde(rename = "contentType")]
    content_type: &'static str,
}

#[derive(Serialize)]
struct X509Answer<'a> {
    /// absent if there is none.
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sans: Option<SansAnswer<'a>>,
    ekus: &'a [String],
    key_usage: Vec<&'static str>,
    validity_months: u32,
    basic_constraints: ConstraintsAnswer,
}

#[derive(Serialize)]
struct SansAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    emails: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_names: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upns: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uris: Option<&'a [String]>,
    #[serde(rename = "ipAddresses", skip_serializing_if = "Option::is_none")]
    ip_addresses: Option<&'a [String]>,
}

#[derive(Serialize)]
struct ConstraintsAnswer {
    ca: bool,
}

#[derive(Serialize)]
struct LifetimeAnswer {
    trigger: TriggerAnswer,
    action: ActionAnswer,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum TriggerAnswer {
    LifetimePercentage(u32),
    DaysBeforeExpiry(u32),
}

#[derive(Serialize)]
struct ActionAnswer {
    action_type: &'static str,
}

#[derive(Serialize)]
struct IssuerReferenceAnswer<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cty: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_transparency: Option<bool>,
}

impl<'a> PolicyAnswer<'a> {
    pub(crate) fn new(policy: &'a Policy, name: &CertificateName, links: &Links) -> Self {
        let Policy { key, content_type, x509, lifetime_actions, issuer, enabled, created, updated, granted: _ } =
            policy;
        let X509Properties { subject, sans, ekus, key_usage, validity_months, ca } = x509;
        let IssuerParameters { name: issuer_name, certificate_type, certificate_transparency } = issuer;
        Self {
            id: links.id("certificates", &[name.as_str(), "policy"]),
            key_props: KeyAnswer {
                exportable: key.exportable,
                kty: key.key_type.kty(),
                key_size: key.key_type.bits(),
                reuse_key: key.reuse_key,
                crv: key.key_type.curve(),
            },
            secret_props: SecretAnswer { content_type: content_type.media_type() },
            x509_props: X509Answer {
                subject,
                sans: sans.as_ref().map(SansAnswer::from),
                ekus,
                key_usage: key_usage.iter().map(|usage| usage.name()).collect(),
                validity_months: *validity_months,
                basic_constraints: ConstraintsAnswer { ca: *ca },
            },
            lifetime_actions: lifetime_actions.iter().map(LifetimeAnswer::from).collect(),
            issuer: IssuerReferenceAnswer {
                name: issuer_name,
                cty: certificate_type.as_deref(),
                cert_transparency: *certificate_transparency,
            },
            attributes: Attributes::new(*enabled, *created, *updated),
        }
    }
}

impl<'a> From<&'a SubjectAlternativeNames> for SansAnswer<'a> {
    fn from(names: &'a SubjectAlternativeNames) -> Self {
        let SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses, shown_empty } = names;
        let list = |list: &'a Vec<String>, shown: bool| (shown || !list.is_empty()).then_some(list.as_slice());
        Self {
            emails: list(emails, shown_empty.emails),
            dns_names: list(dns_names, shown_empty.dns_names),
            upns: list(upns, shown_empty.upns),
            uris: list(uris, shown_empty.uris),
            ip_addresses: list(ip_addresses, shown_empty.ip_addresses),
        }
    }
}

impl From<&LifetimeAction> for LifetimeAnswer {
    fn from(action: &LifetimeAction) -> Self {
        let LifetimeAction { trigger, action } = action;
        let trigger = match trigger {
            Trigger::LifetimePercentage(percentage) => TriggerAnswer::LifetimePercentage(*percentage),
            Trigger::DaysBeforeExpiry(days) => TriggerAnswer::DaysBeforeExpiry(*days),
        };
        Self { trigger, action: ActionAnswer { action_type: action.name() } }
    }
}
