//! Use cases take what they are about in a permit: no public method of a subject takes the name of a vault, a
//! certificate or an issuer, or a request that has one, in any other way.

use crate::source::{is_public_method, sources};
use syn::visit::{Visit, visit_path_segment};
use syn::{FnArg, PathSegment};

/// Types that say of which vault a request is.
const TARGETS: &[&str] = &[
    "CertificateName",
    "CertificateRef",
    "CreateRequest",
    "ImportRequest",
    "IssuerName",
    "IssuerRef",
    "ListPending",
    "ListRenewals",
    "ListRequest",
    "MergeRequest",
    "NewVault",
    "PendingRef",
    "RenewRequest",
    "ReportInstallation",
    "UpdateRequest",
    "VaultName",
    "VersionRef",
    "WatchRequest",
    "WebhookRef",
    "WebhooksOf",
];

/// What decides on permits, and the vaults that it decides with.
const BEFORE_PERMITS: &[&str] = &["src/service/access/permit.rs", "src/service/vaults/known.rs"];

/// The names of the types of an argument, but for what is inside of a permit.
#[derive(Default)]
struct Named {
    permits: usize,
    outside: Vec<String>,
}

impl<'a> Visit<'a> for Named {
    fn visit_path_segment(&mut self, segment: &'a PathSegment) {
        if segment.ident == "Permit" {
            self.permits += 1;
        } else {
            self.outside.push(segment.ident.to_string());
            visit_path_segment(self, segment);
        }
    }
}

#[test]
fn use_cases_take_names_in_permits_only() {
    let (mut with_permit, mut without) = (0, Vec::new());
    for source in sources() {
        let file = source.path.display().to_string();
        if !file.starts_with("src/service/") || BEFORE_PERMITS.contains(&file.as_str()) {
            continue;
        }
        for (of, function) in source.functions().filter(|(_, function)| is_public_method(function)) {
            let mut named = Named::default();
            for argument in &function.sig.inputs {
                if let FnArg::Typed(argument) = argument {
                    named.visit_type(&argument.ty);
                }
            }
            with_permit += named.permits;
            if let Some(name) = named.outside.iter().find(|name| TARGETS.contains(&name.as_str())) {
                without.push(format!("{file}: {of}::{} takes a {name} without a permit", function.sig.ident));
            }
        }
    }
    assert!(with_permit > 35, "only {with_permit} use cases take a permit: the test does not see them");
    assert!(without.is_empty(), "{}", without.join("\n"));
}
