//! Every commit of the service passes one file, which adds the record of the audit ledger to it.

use crate::{code_lines, rust_files};
use std::path::Path;

/// What commits otherwise: the way itself, a probe that writes nothing, and what works on a store without a server or
/// before there is a service.
const OTHERS: &[&str] = &[
    "src/service/writes.rs",
    "src/service/observe.rs",
    "src/service/records/adoption.rs",
    "src/service/records/inspection.rs",
    "src/service/records/lost_vaults.rs",
];

#[test]
fn every_commit_of_the_service_passes_one_file() {
    let (mut outside, mut seen) = (Vec::new(), 0);
    for file in rust_files(Path::new("src/service")).into_iter().chain(rust_files(Path::new("src/transport"))) {
        for (number, code) in code_lines(&file) {
            if code.contains("store.commit(") || code.contains("store().commit(") {
                seen += 1;
                if !OTHERS.iter().any(|other| file.ends_with(other)) {
                    outside.push(format!("{}:{number}: {}", file.display(), code.trim()));
                }
            }
        }
    }
    assert!(outside.is_empty(), "commits without a record:\n{}", outside.join("\n"));
    assert!(seen >= OTHERS.len(), "the test does not see the commits");
}
