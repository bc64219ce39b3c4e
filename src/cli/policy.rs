//! The policy of a certificate as command line options.

use crate::proto::v1::{
    CertificatePolicy, IssuerParameters, KeyCurve, KeyProperties, KeyType, KeyUsage, SecretProperties,
    SubjectAlternativeNames, X509Properties,
};
use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use std::net::IpAddr;
use std::str::FromStr;

/// Options that make a policy. Where none is given, the certificate keeps its present policy.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Policy (without any of these: the current policy of the certificate)")]
pub(super) struct PolicyArgs {
    /// The subject, as RFC 4514 text: CN=example.com,O=Example
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    subject: Option<String>,

    /// A subject alternative name: with dns:, email:, ip:, uri: or upn: before it, else an IP address or a DNS name
    /// [repeatable]
    #[arg(long = "san", value_name = "NAME")]
    sans: Vec<San>,

    /// An issuer of the vault, `Self`, or `Unknown` for a certificate that is merged by hand (the default)
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    issuer: Option<String>,

    /// The certificate type, as the issuer calls it
    #[arg(long, value_name = "TYPE", value_parser = NonEmptyStringValueParser::new())]
    certificate_type: Option<String>,

    /// The type of the key
    #[arg(long, value_enum, value_name = "TYPE")]
    key_type: Option<KeyTypeArg>,

    /// The size of the key in bits
    #[arg(long, value_name = "BITS", value_parser = positive, allow_negative_numbers = true)]
    key_size: Option<i32>,

    /// The curve of the key
    #[arg(long, value_enum, value_name = "CURVE", ignore_case = true)]
    curve: Option<CurveArg>,

    /// The validity in months
    #[arg(long, value_name = "MONTHS", value_parser = positive, allow_negative_numbers = true)]
    validity_months: Option<i32>,

    /// An extended key usage: an object identifier, or a name such as serverAuth [repeatable]
    #[arg(long = "eku", value_name = "USAGE", value_parser = eku)]
    ekus: Vec<String>,

    /// A key usage [repeatable]
    #[arg(long = "key-usage", value_enum, value_name = "USAGE", ignore_case = true)]
    key_usages: Vec<KeyUsageArg>,

    /// Reuse the key for renewals
    #[arg(long)]
    reuse_key: bool,

    /// Make the private key non-exportable
    #[arg(long)]
    not_exportable: bool,

    /// The content type of the secret
    #[arg(long, value_enum, value_name = "FORM", ignore_case = true)]
    content_type: Option<ContentTypeArg>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum KeyTypeArg {
    Rsa,
    Ec,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum CurveArg {
    #[value(name = "P-256", alias = "P256")]
    P256,
    #[value(name = "P-384", alias = "P384")]
    P384,
    #[value(name = "P-521", alias = "P521")]
    P521,
    #[value(name = "P-256K", aliases = ["P256K", "secp256k1"])]
    P256K,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[value(rename_all = "camelCase")]
enum KeyUsageArg {
    DigitalSignature,
    NonRepudiation,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
    KeyCertSign,
    #[value(name = "cRLSign")]
    CrlSign,
    EncipherOnly,
    DecipherOnly,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum ContentTypeArg {
    #[value(name = "pkcs12", alias = "application/x-pkcs12")]
    Pkcs12,
    #[value(name = "pem", alias = "application/x-pem-file")]
    Pem,
}

/// One alternative name with its kind.
#[derive(Clone, Debug, Eq, PartialEq)]
enum San {
    Dns(String),
    Email(String),
    Ip(String),
    Uri(String),
    Upn(String),
}

impl FromStr for San {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.parse::<IpAddr>().is_ok() {
            return Ok(Self::Ip(text.to_owned()));
        }
        let (kind, name) = text.split_once(':').unwrap_or(("dns", text));
        if name.starts_with("//") {
            return Err(format!("this is a URI: write uri:{text}"));
        }
        if name.is_empty() {
            return Err("the name is empty".to_owned());
        }
        if kind.eq_ignore_ascii_case("dns") && name.contains('@') {
            return Err(format!(
                "this is an e-mail address: write email:{name}, or upn:{name} for a user principal name"
            ));
        }
        let name = name.to_owned();
        match kind.to_ascii_lowercase().as_str() {
            "dns" => Ok(Self::Dns(name)),
            "email" => Ok(Self::Email(name)),
            "ip" => match name.parse::<IpAddr>() {
                Ok(_) => Ok(Self::Ip(name)),
                Err(error) => Err(format!("`{name}` is not an IP address: {error}")),
            },
            "uri" => Ok(Self::Uri(name)),
            "upn" => Ok(Self::Upn(name)),
            _ => Err(format!("`{kind}:` is not a kind of name: use dns:, email:, ip:, uri: or upn:")),
        }
    }
}

impl PolicyArgs {
    /// The policy, or nothing if no option was given.
    pub(super) fn into_policy(self) -> Option<CertificatePolicy> {
        let Self {
            subject,
            sans,
            issuer,
            certificate_type,
            key_type,
            key_size,
            curve,
            validity_months,
            ekus,
            key_usages,
            reuse_key,
            not_exportable,
            content_type,
        } = self;
        let key = KeyProperties {
            exportable: not_exportable.then_some(false),
            key_type: key_type.map_or(KeyType::Unspecified, Into::into).into(),
            key_size: key_size.unwrap_or(0),
            reuse_key: reuse_key.then_some(true),
            curve: curve.map_or(KeyCurve::Unspecified, Into::into).into(),
        };
        let secret = SecretProperties { content_type: content_type.map_or("", ContentTypeArg::media_type).to_owned() };
        let x509 = X509Properties {
            subject: subject.unwrap_or_default(),
            ekus,
            subject_alternative_names: alternative_names(sans),
            key_usages: key_usages.into_iter().map(|usage| KeyUsage::from(usage).into()).collect(),
            validity_months: validity_months.unwrap_or(0),
            basic_constraints: None,
        };
        let issuer = IssuerParameters {
            name: issuer.unwrap_or_default(),
            certificate_type: certificate_type.unwrap_or_default(),
            certificate_transparency: None,
        };
        let policy = CertificatePolicy {
            key_properties: unless_default(key),
            secret_properties: unless_default(secret),
            x509_properties: unless_default(x509),
            issuer: unless_default(issuer),
            ..Default::default()
        };
        unless_default(policy)
    }
}

fn unless_default<T: Default + PartialEq>(message: T) -> Option<T> {
    (message != T::default()).then_some(message)
}

fn alternative_names(sans: Vec<San>) -> Option<SubjectAlternativeNames> {
    let mut names = SubjectAlternativeNames::default();
    for san in sans {
        match san {
            San::Dns(name) => names.dns_names.push(name),
            San::Email(name) => names.emails.push(name),
            San::Ip(name) => names.ip_addresses.push(name),
            San::Uri(name) => names.uris.push(name),
            San::Upn(name) => names.upns.push(name),
        }
    }
    unless_default(names)
}

/// In a message of the contract zero means "not set"; the server checks other values.
fn positive(text: &str) -> Result<i32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "use a whole number above 0, or leave the option out".to_owned())
}

/// The names of RFC 5280 section 4.2.1.12 for their identifiers; an identifier stays as it is.
pub(super) fn eku(text: &str) -> Result<String, String> {
    let arc = match text.to_ascii_lowercase().as_str() {
        "serverauth" => 1,
        "clientauth" => 2,
        "codesigning" => 3,
        "emailprotection" => 4,
        "timestamping" => 8,
        "ocspsigning" => 9,
        _ if text.contains('.') && text.chars().all(|c| c.is_ascii_digit() || c == '.') => return Ok(text.to_owned()),
        _ => {
            return Err("write an object identifier, or serverAuth, clientAuth, codeSigning, emailProtection, \
                        timeStamping or OCSPSigning"
                .to_owned());
        }
    };
    Ok(format!("1.3.6.1.5.5.7.3.{arc}"))
}

impl From<KeyTypeArg> for KeyType {
    fn from(arg: KeyTypeArg) -> Self {
        match arg {
            KeyTypeArg::Rsa => Self::Rsa,
            KeyTypeArg::Ec => Self::Ec,
        }
    }
}

impl From<CurveArg> for KeyCurve {
    fn from(arg: CurveArg) -> Self {
        match arg {
            CurveArg::P256 => Self::P256,
            CurveArg::P384 => Self::P384,
            CurveArg::P521 => Self::P521,
            CurveArg::P256K => Self::P256k,
        }
    }
}

impl From<KeyUsageArg> for KeyUsage {
    fn from(arg: KeyUsageArg) -> Self {
        match arg {
            KeyUsageArg::DigitalSignature => Self::DigitalSignature,
            KeyUsageArg::NonRepudiation => Self::NonRepudiation,
            KeyUsageArg::KeyEncipherment => Self::KeyEncipherment,
            KeyUsageArg::DataEncipherment => Self::DataEncipherment,
            KeyUsageArg::KeyAgreement => Self::KeyAgreement,
            KeyUsageArg::KeyCertSign => Self::KeyCertSign,
            KeyUsageArg::CrlSign => Self::CrlSign,
            KeyUsageArg::EncipherOnly => Self::EncipherOnly,
            KeyUsageArg::DecipherOnly => Self::DecipherOnly,
        }
    }
}

impl ContentTypeArg {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Pkcs12 => "application/x-pkcs12",
            Self::Pem => "application/x-pem-file",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_kind_is_an_address_or_a_dns_name() {
        let parse = |text: &str| text.parse::<San>();
        assert_eq!(parse("example.com"), Ok(San::Dns("example.com".into())));
        assert_eq!(parse("192.0.2.1"), Ok(San::Ip("192.0.2.1".into())));
        assert_eq!(parse("2001:db8::1"), Ok(San::Ip("2001:db8::1".into())));
        assert_eq!(parse("ip:::1"), Ok(San::Ip("::1".into())));
        assert_eq!(parse("URI:https://a/b:c"), Ok(San::Uri("https://a/b:c".into())));
        assert_eq!(parse("upn:a@b"), Ok(San::Upn("a@b".into())));
        for text in ["", "dns:", "ip:example.com", "url:https://a"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("http://a/"), Err("this is a URI: write uri:http://a/".into()));
        for mail in ["a@b.example", "dns:a@b.example"] {
            assert!(parse(mail).unwrap_err().contains("write email:a@b.example"), "{mail}");
        }
    }

    #[test]
    fn each_curve_of_the_contract_has_a_name() {
        let named: Vec<KeyCurve> = CurveArg::value_variants().iter().map(|arg| KeyCurve::from(*arg)).collect();
        let known = (1..).map_while(|number| KeyCurve::try_from(number).ok());
        assert_eq!(named, known.collect::<Vec<_>>());
    }

    #[test]
    fn usages_have_names() {
        assert_eq!(eku("serverAuth").unwrap(), "1.3.6.1.5.5.7.3.1");
        assert_eq!(eku("ocspSigning").unwrap(), "1.3.6.1.5.5.7.3.9");
        assert_eq!(eku("1.3.6.1.4.1.311.10.3.4").unwrap(), "1.3.6.1.4.1.311.10.3.4");
        assert!(eku("server").is_err() && eku("12").is_err());
    }

    #[test]
    fn a_number_that_says_nothing_is_refused() {
        for bad in ["0", "-1", "", "x", "12.0", "2147483648"] {
            assert!(positive(bad).unwrap_err().contains("above 0"), "{bad}");
        }
        assert_eq!(positive("12"), Ok(12));
    }

    #[test]
    fn no_option_is_no_policy() {
        assert_eq!(PolicyArgs::default().into_policy(), None);
        let one = PolicyArgs { not_exportable: true, ..Default::default() }.into_policy().unwrap();
        assert_eq!((one.key_properties.unwrap().exportable, one.x509_properties), (Some(false), None));
    }
}
