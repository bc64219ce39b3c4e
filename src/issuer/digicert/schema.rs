//! The options of a DigiCert issuer, and the members of Key Vault's issuer object that are read: for
//! checks, for forms and for help.

use super::settings::BASE_URL;
use crate::issuer::dns;
use crate::issuer::provider::{IssuerSchema, OptionKind, OptionSchema};

pub(super) fn schema() -> IssuerSchema {
    let option = |name, kind, default, help| OptionSchema { name, kind, required: false, default, help };
    let number = |least, most| OptionKind::Integer { least, most };
    let mut options = vec![
        option(
            "base_url",
            OptionKind::Url,
            Some(BASE_URL),
            "The address of the API; https://certcentral.digicert.eu/services/v2 for accounts in the EU.",
        ),
        option("ca_file", OptionKind::File, None, "CA certificates (PEM) to trust beside the system's."),
        option(
            "mode",
            OptionKind::Choice(&["rest", "acme"]),
            Some("rest"),
            "acme: makes an ACME account with the API key and orders through it.",
        ),
        option("organization", OptionKind::Text, None, "The name of the organization, where its number is not given."),
        option(
            "product",
            OptionKind::Map,
            None,
            "product.CTY=NAME_ID: what is ordered for a policy's certificate type.",
        ),
        option(
            "max_validity_days",
            number(1, 1095),
            None,
            "Longer validities are cut to this; public ones to what is allowed.",
        ),
        option("order_years", number(1, 3), Some("1"), "The term of an order; certificates are reissued within it."),
        option("container", number(1, u64::MAX), None, "The division that orders belong to."),
        option("ca_cert_id", OptionKind::Text, None, "The issuing CA, where the product offers several."),
        option(
            "signature_hash",
            OptionKind::Choice(&["sha256", "sha384", "sha512"]),
            Some("sha256"),
            "The digest of the signature.",
        ),
        option(
            "payment_method",
            OptionKind::Choice(&["balance", "profile"]),
            Some("balance"),
            "How an order is paid: from the account's balance, or with its stored card.",
        ),
        option("skip_approval", OptionKind::Boolean, Some("true"), "Orders skip the approval step of the account."),
        option(
            "approve",
            OptionKind::Boolean,
            Some("false"),
            "Approves orders that wait for it, with the same API key.",
        ),
        option("reissue", OptionKind::Boolean, Some("true"), "Renews within the paid term of an order by reissue."),
        option(
            "dcv_method",
            OptionKind::Choice(&["dns-txt-token", "http-token", "dns-cname-token", "email"]),
            Some("dns-txt-token"),
            "How control of names is proved that DigiCert has not validated yet.",
        ),
        option(
            "dcv_label",
            OptionKind::Text,
            None,
            "Before the name of a TXT record, such as _dnsauth; none if not set.",
        ),
        option(
            "challenge",
            OptionKind::Choice(&["http-01", "dns-01"]),
            Some("http-01"),
            "With mode=acme: how names are proved.",
        ),
        option(
            "contacts",
            OptionKind::List,
            None,
            "With mode=acme: addresses for notices, such as mailto:ops@example.com.",
        ),
    ];
    options.extend(dns::options());
    IssuerSchema {
        provider: "DigiCert",
        summary: "DigiCert CertCentral. The password is an API key; the organization is the one that certificates are for.",
        options,
    }
}

/// The members of Key Vault's issuer object that are read.
pub(super) fn members() -> Vec<OptionSchema> {
    let member = |name, kind, required, help| OptionSchema { name, kind, required, default: None, help };
    vec![
        member("account_id", OptionKind::Text, false, "The number of the CertCentral account; kept, and sent nowhere."),
        member("password", OptionKind::Secret, true, "The API key of the account."),
        member("organization_id", OptionKind::Text, false, "The number or the name of the organization."),
    ]
}
