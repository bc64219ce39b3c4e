//! The path and query of a request, as Key Vault's clients write them, decoded once.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The parameters that are read somewhere.
const KNOWN: [&str; 13] = [
    "api-version",
    "maxresults",
    "$skiptoken",
    "request_id",
    "includePending",
    "snapshot",
    "until_terminal",
    "outContentType",
    "since",
    "until",
    "name",
    "state",
    "$filter",
];

/// Path and query without their encodings.
#[derive(Debug)]
pub(super) struct Address<'a> {
    /// The parts between slashes. A trailing or doubled slash makes no part: clients send both
    /// where a version is missing (contract rule 7).
    pub(super) segments: Vec<Cow<'a, str>>,
    query: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Address<'a> {
    pub(super) fn of(uri: &'a http::Uri) -> Self {
        let segments = uri.path().split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let query = pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                // Names too: one client sends `api%2Dversion` (contract rule 8).
                (decoded(name), decoded(value))
            })
            .collect();
        Self { segments, query }
    }

    /// A known parameter that stands more than once: one value would count here, and the other one somewhere else.
    pub(super) fn repeated(&self) -> Option<&'static str> {
        let count = |name: &str| self.query.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).count();
        KNOWN.into_iter().find(|name| count(name) > 1)
    }

    /// The first value of a parameter; an empty one counts as missing. Names compare without case.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_ref()).filter(|value| !value.is_empty())
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    // What is no UTF-8 becomes a replacement character, which no name may hold.
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_encodings_do_not_matter() {
        let uri =
            "//certificates/my%43ert//pending/?api%2Dversion=7.4&%24skiptoken=a%3D%3D&x&API-VERSION=9".parse().unwrap();
        let address = Address::of(&uri);
        assert_eq!(address.segments, ["certificates", "myCert", "pending"]);
        assert_eq!(address.query("api-version"), Some("7.4"));
        assert_eq!(address.query("$skiptoken"), Some("a=="));
        assert_eq!((address.query("x"), address.query("y")), (None, None));
        assert_eq!(address.repeated(), Some("api-version"));
    }

    #[test]
    fn an_unused_parameter_may_be_repeated() {
        let uri = "/certificates?api-version=7.4&x=1&x=2&maxresults=3".parse().unwrap();
        assert_eq!(Address::of(&uri).repeated(), None);
        let uri = "/certificates?api-version=7.4&maxresults=3&MaxResults=3".parse().unwrap();
        assert_eq!(Address::of(&uri).repeated(), Some("maxresults"));
    }

    #[test]
    fn a_decoded_slash_stays_inside_its_segment() {
        let uri = "/certificates/a%2Fb/%FF".parse().unwrap();
        assert_eq!(Address::of(&uri).segments, ["certificates", "a/b", "\u{FFFD}"]);
    }
}
