//! The bare things, run by this program as a process of its own: `bare server FOLDER`, or
//! `bare create|rsa|rsa-burst|ca|ca-without-log|import|ES256|RS256|backup|restore CALLERS MILLISECONDS [FILE]`.

mod authority;
mod content;
mod creations;
mod server;
mod service;

use crate::support::Failure;
use std::path::Path;
use std::time::Duration;

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["server", folder] => server::run(Path::new(folder)),
        ["ca", callers, millis] => authority::run(true, callers.parse()?, Duration::from_millis(millis.parse()?)),
        ["ca-without-log", callers, millis] => {
            authority::run(false, callers.parse()?, Duration::from_millis(millis.parse()?))
        }
        [kind, callers, millis] => creations::run(kind, callers.parse()?, Duration::from_millis(millis.parse()?)),
        [kind, callers, millis, file] => {
            content::run(kind, callers.parse()?, Duration::from_millis(millis.parse()?), Path::new(file))
        }
        _ => Err("bare: unknown arguments".into()),
    }
}
