//! The route table. A request is matched against it from top to bottom, and a test compares it with the `rest` options
//! of the gRPC contract.

use super::authorization_routes::{AUTHORIZATION_ROUTES, Authorization};
use super::failure::Failure;
use super::material_routes::MATERIAL_ROUTES;
use crate::domain::{DataAction, KeyOperation};
use crate::transport::actions::{REFUSED_WRITE, action_of};
use http::Method;
use std::borrow::Cow;
use std::sync::{LazyLock, OnceLock};

/// A use case behind the gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Endpoint {
    ListIssuers,
    GetIssuer,
    SetIssuer,
    UpdateIssuer,
    DeleteIssuer,
    IssuerCa,
    IssuerCsr,
    InstallCa,
    ListIssued,
    GetIssued,
    RevokeIssued,
    RevokeVersion,
    Create,
    Renew,
    GetPending,
    CancelPending,
    DeletePending,
    Merge,
    Watch,
    GetCertificate,
    GetVersion,
    Import,
    ListSecrets,
    GetSecret,
    ListSecretVersions,
    ListKeys,
    GetKey,
    ListKeyVersions,
    UseKey(KeyOperation),
    /// A write that Key Vault has for secrets, by its name there.
    RefuseSecret(&'static str),
    /// A write that Key Vault has for keys.
    RefuseKey(&'static str),
    ListCertificates,
    ListVersions,
    UpdateCertificate,
    UpdateVersion,
    GetPolicy,
    UpdatePolicy,
    DeleteCertificate,
    ListDeleted,
    GetDeleted,
    Recover,
    Purge,
    Backup,
    Restore,
    SetContacts,
    GetContacts,
    DeleteContacts,
    /// Role assignments and definitions.
    Authorization(Authorization),
}

/// A method on a path.
#[derive(Clone, Debug)]
pub struct Route {
    pub method: Method,
    /// `{...}` stands for one segment.
    pub path: &'static str,
    pub endpoint: Endpoint,
}

/// The routes of certificates; `issuers`, `contacts` and `restore` win over names, and named parts win over versions
/// (contract section 4).
pub static ROUTES: [Route; 38] = [
    at(Method::GET, "/certificates/issuers", Endpoint::ListIssuers),
    at(Method::GET, "/certificates/issuers/{issuer_name}", Endpoint::GetIssuer),
    at(Method::PUT, "/certificates/issuers/{issuer_name}", Endpoint::SetIssuer),
    at(Method::PATCH, "/certificates/issuers/{issuer_name}", Endpoint::UpdateIssuer),
    at(Method::DELETE, "/certificates/issuers/{issuer_name}", Endpoint::DeleteIssuer),
    at(Method::GET, "/certificates/issuers/{issuer_name}/ca", Endpoint::IssuerCa),
    at(Method::GET, "/certificates/issuers/{issuer_name}/ca/csr", Endpoint::IssuerCsr),
    at(Method::POST, "/certificates/issuers/{issuer_name}/ca/install", Endpoint::InstallCa),
    at(Method::GET, "/certificates/issuers/{issuer_name}/ca/issued", Endpoint::ListIssued),
    at(Method::GET, "/certificates/issuers/{issuer_name}/ca/issued/{serial}", Endpoint::GetIssued),
    at(Method::POST, "/certificates/issuers/{issuer_name}/ca/issued/{serial}/revoke", Endpoint::RevokeIssued),
    at(Method::POST, "/certificates/{certificate_name}/create", Endpoint::Create),
    at(Method::POST, "/certificates/{certificate_name}/renew", Endpoint::Renew),
    at(Method::POST, "/certificates/{certificate_name}/import", Endpoint::Import),
    at(Method::GET, "/certificates/{certificate_name}/pending", Endpoint::GetPending),
    at(Method::PATCH, "/certificates/{certificate_name}/pending", Endpoint::CancelPending),
    at(Method::DELETE, "/certificates/{certificate_name}/pending", Endpoint::DeletePending),
    at(Method::POST, "/certificates/{certificate_name}/pending/merge", Endpoint::Merge),
    at(Method::GET, "/certificates/{certificate_name}/pending/watch", Endpoint::Watch),
    at(Method::PUT, "/certificates/contacts", Endpoint::SetContacts),
    at(Method::GET, "/certificates/contacts", Endpoint::GetContacts),
    at(Method::DELETE, "/certificates/contacts", Endpoint::DeleteContacts),
    at(Method::POST, "/certificates/restore", Endpoint::Restore),
    at(Method::GET, "/certificates", Endpoint::ListCertificates),
    at(Method::GET, "/certificates/{certificate_name}/versions", Endpoint::ListVersions),
    at(Method::GET, "/certificates/{certificate_name}/policy", Endpoint::GetPolicy),
    at(Method::PATCH, "/certificates/{certificate_name}/policy", Endpoint::UpdatePolicy),
    at(Method::POST, "/certificates/{certificate_name}/backup", Endpoint::Backup),
    at(Method::GET, "/certificates/{certificate_name}", Endpoint::GetCertificate),
    at(Method::PATCH, "/certificates/{certificate_name}", Endpoint::UpdateCertificate),
    at(Method::DELETE, "/certificates/{certificate_name}", Endpoint::DeleteCertificate),
    at(Method::GET, "/certificates/{certificate_name}/{certificate_version}", Endpoint::GetVersion),
    at(Method::PATCH, "/certificates/{certificate_name}/{certificate_version}", Endpoint::UpdateVersion),
    at(Method::POST, "/certificates/{certificate_name}/{certificate_version}/revoke", Endpoint::RevokeVersion),
    at(Method::GET, "/deletedcertificates", Endpoint::ListDeleted),
    at(Method::GET, "/deletedcertificates/{certificate_name}", Endpoint::GetDeleted),
    at(Method::DELETE, "/deletedcertificates/{certificate_name}", Endpoint::Purge),
    at(Method::POST, "/deletedcertificates/{certificate_name}/recover", Endpoint::Recover),
];

/// Words after a name that are never a version, whether they are answered here or not.
const NO_VERSIONS: [&str; 7] = ["backup", "create", "import", "pending", "policy", "renew", "versions"];

pub(super) const fn at(method: Method, path: &'static str, endpoint: Endpoint) -> Route {
    Route { method, path, endpoint }
}

/// A route with the values of its `{...}`, in order; empty if it has fewer.
#[derive(Debug)]
pub(super) struct Match<'a> {
    pub(super) endpoint: Endpoint,
    /// What callers need.
    pub(super) action: Option<DataAction>,
    /// The template of the path.
    pub(super) path: &'static str,
    pub(super) name: &'a str,
    pub(super) version: &'a str,
}

/// Every route, in the order in which they are tried.
fn all() -> impl Iterator<Item = &'static Route> {
    static AUTHORIZATION: LazyLock<[Route; AUTHORIZATION_ROUTES.len()]> = LazyLock::new(|| {
        AUTHORIZATION_ROUTES.map(|(method, path, asked)| at(method, path, Endpoint::Authorization(asked)))
    });
    ROUTES.iter().chain(&MATERIAL_ROUTES).chain(&*AUTHORIZATION)
}

/// What callers need for each route, in their order.
fn actions() -> &'static [Option<DataAction>] {
    static ACTIONS: OnceLock<Vec<Option<DataAction>>> = OnceLock::new();
    ACTIONS.get_or_init(|| all().map(Route::action).collect())
}

/// Finds the route: 404 where no path fits, 405 with `Allow` where only the method does not.
pub(super) fn find<'a>(method: &Method, segments: &'a [Cow<'_, str>]) -> Result<Match<'a>, Failure> {
    let mut allowed: Vec<&str> = Vec::new();
    for (route, action) in all().zip(actions()) {
        let Some([name, version]) = route.captures(segments) else { continue };
        if route.method == *method {
            return Ok(Match { endpoint: route.endpoint, action: *action, path: route.path, name, version });
        }
        allowed.push(route.method.as_str());
    }
    if allowed.is_empty() { Err(Failure::no_such_path()) } else { Err(Failure::method_not_allowed(method, &allowed)) }
}

impl Route {
    fn action(&self) -> Option<DataAction> {
        match self.endpoint {
            Endpoint::RefuseSecret(_) | Endpoint::RefuseKey(_) => Some(REFUSED_WRITE),
            _ => action_of(&format!("{} {}", self.method, self.path)),
        }
    }

    fn captures<'a>(&self, segments: &'a [Cow<'_, str>]) -> Option<[&'a str; 2]> {
        let mut captured = [""; 2];
        let mut places = captured.iter_mut();
        let mut segments = segments.iter();
        for part in self.path.split('/').skip(1) {
            let segment = segments.next()?.as_ref();
            if part.starts_with('{') {
                let no_version = || NO_VERSIONS.iter().any(|word| segment.eq_ignore_ascii_case(word));
                if part.ends_with("_version}") && no_version() {
                    return None;
                }
                *places.next()? = segment;
            } else if !segment.eq_ignore_ascii_case(part) {
                return None;
            }
        }
        segments.next().is_none().then_some(captured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn found(method: Method, path: &str) -> String {
        let uri = path.parse().unwrap();
        let address = super::super::address::Address::of(&uri);
        match find(&method, &address.segments) {
            Ok(Match { endpoint, action: _, path: _, name, version }) => format!("{endpoint:?} {name} {version}"),
            Err(failure) => failure.status().as_u16().to_string(),
        }
    }

    #[test]
    fn each_address_finds_its_endpoint() {
        for (method, path, expected) in [
            (Method::POST, "/certificates/web/create", "Create web "),
            (Method::GET, "/Certificates/web//PENDING/", "GetPending web "),
            (Method::GET, "/certificates/web/", "GetCertificate web "),
            (Method::GET, "/certificates/web/0123", "GetVersion web 0123"),
            (Method::GET, "/certificates/issuers/", "ListIssuers  "),
            (Method::GET, "/certificates/issuers/pending", "GetIssuer pending "),
            (Method::GET, "/certificates/issuers/x/ca", "IssuerCa x "),
            (Method::GET, "/certificates/issuers/x/ca/csr", "IssuerCsr x "),
            (Method::POST, "/certificates/issuers/x/ca/install", "InstallCa x "),
            (Method::GET, "/certificates/issuers/x/ca/install", "405"),
            (Method::GET, "/certificates/issuers/x/ca/issued", "ListIssued x "),
            (Method::GET, "/certificates/issuers/x/ca/issued/4A:3f", "GetIssued x 4A:3f"),
            (Method::POST, "/certificates/issuers/x/ca/issued/4a/revoke", "RevokeIssued x 4a"),
            (Method::POST, "/certificates/web/0123/revoke", "RevokeVersion web 0123"),
            (Method::POST, "/certificates/web/pending/revoke", "404"),
            (Method::POST, "/certificates/web/renew", "Renew web "),
            (Method::GET, "/certificates/web/renew", "405"),
            (Method::POST, "/certificates/issuers/create", "Create issuers "),
            (Method::POST, "/certificates//create", "405"),
            (Method::PUT, "/certificates/issuers/", "405"),
            (Method::GET, "/certificates/web/create", "405"),
            (Method::GET, "/certificates/", "ListCertificates  "),
            (Method::GET, "/certificates/contacts", "GetContacts  "),
            (Method::POST, "/certificates/restore/", "Restore  "),
            (Method::GET, "/certificates/web/versions", "ListVersions web "),
            (Method::GET, "/certificates/web/Policy", "GetPolicy web "),
            (Method::POST, "/certificates/web/backup", "Backup web "),
            (Method::PATCH, "/certificates/web/", "UpdateCertificate web "),
            (Method::PATCH, "/certificates/web/0123", "UpdateVersion web 0123"),
            (Method::DELETE, "/certificates/web", "DeleteCertificate web "),
            (Method::GET, "/DeletedCertificates", "ListDeleted  "),
            (Method::DELETE, "/deletedcertificates/web", "Purge web "),
            (Method::POST, "/deletedcertificates/web/recover", "Recover web "),
            (Method::PUT, "/certificates/web", "405"),
            (Method::DELETE, "/certificates/web/0123", "405"),
            (Method::POST, "/certificates/web/import", "Import web "),
            (Method::GET, "/certificates/web/import", "405"),
            (Method::GET, "/certificates/web/pending/merge/x", "404"),
            (Method::GET, "/", "404"),
            (Method::GET, "/secrets/", "ListSecrets  "),
            (Method::GET, "/secrets/web/", "GetSecret web "),
            (Method::GET, "/secrets/web/0123", "GetSecret web 0123"),
            (Method::GET, "/secrets/web/versions", "ListSecretVersions web "),
            (Method::PUT, "/secrets/web", "RefuseSecret(\"set\") web "),
            (Method::POST, "/keys/web//sign", "UseKey(Sign) web "),
            (Method::POST, "/keys/web/0123/unwrapKey", "UseKey(UnwrapKey) web 0123"),
            (Method::POST, "/keys/web/versions/sign", "404"),
            (Method::DELETE, "/keys/web/", "RefuseKey(\"delete\") web "),
            (Method::GET, "/keys/web/0123/sign", "405"),
            (Method::GET, "//providers/Microsoft.Authorization/roleAssignments", "Authorization(ListAssignments)  "),
            (Method::PUT, "/providers/microsoft.authorization/roleassignments/1-2", "Authorization(Assign) 1-2 "),
            (
                Method::DELETE,
                "/certificates/shop-*/providers/Microsoft.Authorization/roleAssignments/1-2",
                "Authorization(Unassign) shop-* 1-2",
            ),
            (Method::PUT, "/certificates/web/providers/Microsoft.Authorization/roleDefinitions/1-2", "404"),
            (Method::GET, "/keys/web/providers/Microsoft.Authorization/roleAssignments", "404"),
        ] {
            assert_eq!(found(method.clone(), path), expected, "{method} {path}");
        }
    }

    #[test]
    fn every_route_has_an_action() {
        let without = |(route, action): (&Route, &Option<DataAction>)| {
            action.is_none().then(|| format!("{} {}", route.method, route.path))
        };
        let without: Vec<String> = all().zip(actions()).filter_map(without).collect();
        assert!(without.is_empty(), "routes without an action:\n{}", without.join("\n"));
    }

    #[test]
    fn a_route_needs_what_its_method_needs() {
        for method in crate::proto::methods() {
            for uri in method.rest {
                let (verb, path) = uri.split_once(' ').unwrap();
                let of = |route: &&Route| route.method == verb && route.path == path;
                let route = all().find(of).unwrap();
                assert_eq!(route.action().map(DataAction::text), Some(method.action.as_str()), "{uri}");
            }
        }
    }

    /// Ours beyond Key Vault's API.
    const EXTENSIONS: [&str; 9] = [
        "POST /certificates/{certificate_name}/renew",
        "GET /certificates/issuers/{issuer_name}/ca",
        "GET /certificates/issuers/{issuer_name}/ca/csr",
        "POST /certificates/issuers/{issuer_name}/ca/install",
        "GET /certificates/issuers/{issuer_name}/ca/issued",
        "GET /certificates/issuers/{issuer_name}/ca/issued/{serial}",
        "POST /certificates/issuers/{issuer_name}/ca/issued/{serial}/revoke",
        "POST /certificates/{certificate_name}/{certificate_version}/revoke",
        "GET /certificates/{certificate_name}/pending/watch",
    ];

    #[test]
    fn the_routes_are_those_of_the_description() {
        let description: serde_json::Value = serde_json::from_slice(super::super::OPENAPI).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            described.extend(methods.as_object().unwrap().keys().map(|name| format!("{} {path}", name.to_uppercase())));
        }
        let ours = all().map(|route| format!("{} {}", route.method, route.path));
        assert_eq!(ours.collect::<BTreeSet<_>>(), described);
        let versions = &description["components"]["parameters"]["ApiVersion"]["schema"]["enum"];
        assert_eq!(*versions, serde_json::json!(super::super::API_VERSIONS));
        assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn the_routes_are_those_of_the_contract() {
        let refused = |route: &&Route| matches!(route.endpoint, Endpoint::RefuseSecret(_) | Endpoint::RefuseKey(_));
        let azures = |route: &&Route| route.path.contains("/Microsoft.Authorization/");
        let answered = all().filter(|route| !refused(route) && !azures(route));
        let ours: BTreeSet<String> = answered.map(|route| format!("{} {}", route.method, route.path)).collect();
        let contract = crate::proto::rest_options().into_iter().flat_map(|(_, uris)| uris);
        let contract: BTreeSet<String> = contract.chain(EXTENSIONS.map(str::to_owned)).collect();
        assert_eq!(ours, contract);
    }
}
