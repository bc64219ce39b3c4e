//! What `PVOrder` is sent.

use super::names::{is_covered, san_type};
use super::service::order_header;
use super::settings::{Contact, Settings};
use super::soap::element;
use crate::issuer::provider::Order;

/// What was decided for an order before it is placed.
pub(super) struct Wanted<'a> {
    /// The common name first.
    pub(super) names: &'a [String],
    pub(super) product: &'a str,
    pub(super) months: u32,
    pub(super) profile: &'a str,
    pub(super) domain: &'a str,
}

pub(super) fn order_request(order: &Order, settings: &Settings, wanted: &Wanted<'_>) -> String {
    let Wanted { names, product, months, profile, domain } = wanted;
    let Contact { first_name, last_name, phone, email } = &settings.contact;
    let contact = element("FirstName", first_name)
        + &element("LastName", last_name)
        + &element("Phone", phone)
        + &element("Email", email);
    let common_name = names.first().map(String::as_str).unwrap_or_default();
    let csr = der::pem::encode_string("CERTIFICATE REQUEST", der::pem::LineEnding::LF, &order.csr);
    let base_option = if product.contains("INTRA") {
        element("BaseOption", "private")
    } else if common_name.starts_with("*.") {
        element("BaseOption", "wildcard")
    } else {
        String::new()
    };
    let sans: String = names
        .iter()
        .filter(|name| !is_covered(name, common_name))
        .map(|name| {
            let entry = element("SANOptionType", san_type(name)) + &element("SubjectAltName", name);
            format!("<SANEntry>{entry}</SANEntry>")
        })
        .collect();
    let options = if sans.is_empty() {
        String::new()
    } else {
        let option = element("OptionName", "SAN") + &element("OptionValue", "True");
        format!("<Options><Option>{option}</Option></Options>")
    };
    let parameter = element("ProductCode", product)
        + &base_option
        + &element("OrderKind", "new")
        + &element("Licenses", "1")
        + &options
        + &format!("<ValidityPeriod>{}</ValidityPeriod>", element("Months", &months.to_string()))
        + &element("CSR", &csr.unwrap_or_default());
    let sans = if sans.is_empty() { sans } else { format!("<SANEntries>{sans}</SANEntries>") };
    // The order of elements is that of the service's types.
    format!(
        "{}<OrderRequestParameter>{parameter}</OrderRequestParameter>{}{}{}<ContactInfo>{contact}</ContactInfo>{sans}",
        order_header(settings),
        element("MSSLProfileID", profile),
        element("MSSLDomainID", domain),
        element("SubID", &order.request_id.to_string()),
    )
}
