//! A recorded answer beside ours: every member, its place, and the headers that clients read.

use super::der;
use super::tree::Tree;
use serde_json::Value;

/// Headers that clients act upon.
pub(crate) const HEADERS: [&str; 4] = ["content-type", "location", "retry-after", "www-authenticate"];

const TIMES: [&str; 8] =
    ["nbf", "exp", "created", "updated", "deletedDate", "scheduledPurgeDate", "time", "crl_expected"];

/// Where two answers differ, with both sides as they are compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Difference {
    pub(crate) member: String,
    pub(crate) recorded: String,
    pub(crate) ours: String,
}

/// Which host stands for the vault.
pub(crate) struct Side<'a> {
    pub(crate) host: &'a str,
}

pub(crate) fn bodies(recorded: &Tree, ours: &Tree) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", recorded, ours, &mut found);
    found
}

pub(crate) fn texts(member: &str, recorded: Option<&str>, ours: Option<&str>) -> Option<Difference> {
    let shown = |text: Option<&str>| text.map_or_else(|| "absent".to_owned(), |text| Value::from(text).to_string());
    (!alike(recorded, ours)).then(|| Difference {
        member: member.to_owned(),
        recorded: shown(recorded),
        ours: shown(ours),
    })
}

fn alike(recorded: Option<&str>, ours: Option<&str>) -> bool {
    match (recorded, ours) {
        (Some(recorded), Some(ours)) => fits(recorded, ours),
        (None, None) => true,
        _ => false,
    }
}

fn compare(path: &str, recorded: &Tree, ours: &Tree, found: &mut Vec<Difference>) {
    let mut differ = |member: &str, recorded: &dyn ToString, ours: &dyn ToString| {
        found.push(Difference { member: member.to_owned(), recorded: recorded.to_string(), ours: ours.to_string() });
    };
    match (recorded, ours) {
        (Tree::Object(theirs), Tree::Object(mine)) => {
            let (mut common, mut order) = (Vec::new(), Vec::new());
            for (name, value) in theirs {
                match ours.member(name) {
                    Some(other) => {
                        common.push(name.as_str());
                        compare(&join(path, name), value, other, found);
                    }
                    None => found.push(missing(&join(path, name), value, true)),
                }
            }
            for (name, value) in mine {
                match recorded.member(name) {
                    Some(_) => order.push(name.as_str()),
                    None => found.push(missing(&join(path, name), value, false)),
                }
            }
            if common != order {
                let member = format!("order of {}", if path.is_empty() { "the members" } else { path });
                found.push(Difference { member, recorded: common.join(", "), ours: order.join(", ") });
            }
        }
        (Tree::Array(theirs), Tree::Array(mine)) if theirs.len() == mine.len() => {
            for (index, (theirs, mine)) in theirs.iter().zip(mine).enumerate() {
                compare(&format!("{path}[{index}]"), theirs, mine, found);
            }
        }
        (Tree::Leaf(theirs), Tree::Leaf(mine)) => {
            if !same(path, theirs, mine) {
                differ(path, theirs, mine);
            }
        }
        _ => differ(path, recorded, ours),
    }
}

fn missing(member: &str, value: &Tree, recorded: bool) -> Difference {
    let name = member.rsplit('.').next().unwrap_or_default();
    let value = if TIMES.contains(&name) { "<time>".to_owned() } else { value.to_string() };
    let absent = "absent".to_owned();
    let (recorded, ours) = if recorded { (value, absent) } else { (absent, value) };
    Difference { member: member.to_owned(), recorded, ours }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Two plain values, of which some can only be alike in kind.
fn same(path: &str, recorded: &Value, ours: &Value) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default();
    match (recorded, ours) {
        (Value::Number(theirs), Value::Number(mine)) if TIMES.contains(&name) => theirs.is_i64() && mine.is_i64(),
        (Value::String(theirs), Value::String(mine)) => match name {
            "csr" | "cer" if !theirs.starts_with('<') => der::structure(theirs) == der::structure(mine),
            "x5t" | "value" if !theirs.contains(['<', '(', ' ']) => kind(theirs) == kind(mine),
            _ => fits(theirs, mine),
        },
        _ => recorded == ours,
    }
}

/// Alphabet of a base64 text, and its length where that says something: a PFX is as long as it is.
fn kind(text: &str) -> (&str, Option<usize>) {
    let url = text.contains(['-', '_']) || !text.len().is_multiple_of(4);
    let alphabet = if text.contains(['+', '/', '=']) {
        "base64"
    } else if url {
        "base64url"
    } else {
        "either"
    };
    (alphabet, (text.len() < 200).then_some(text.len()))
}

/// Whether a text is the recorded one, in which `<...>` and `(elided)` stand for what was cut out.
fn fits(recorded: &str, ours: &str) -> bool {
    let recorded = recorded.replace("(elided)", "<elided>");
    let mut rest = ours;
    let mut pieces = recorded.split('<');
    let Some(after) = pieces.next().and_then(|first| rest.strip_prefix(first)) else { return false };
    rest = after;
    for piece in pieces {
        let Some((name, text)) = piece.split_once('>') else { return false };
        // The names of identifiers are given on both sides; they have to be the same ones.
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            let Some(after) = rest.strip_prefix(&format!("<{name}>")).and_then(|rest| rest.strip_prefix(text)) else {
                return false;
            };
            rest = after;
        } else if text.is_empty() {
            if rest.is_empty() {
                return false;
            }
            rest = "";
        } else {
            let Some((cut, after)) = rest.split_once(text) else { return false };
            if cut.trim().is_empty() {
                return false;
            }
            rest = after;
        }
    }
    rest.is_empty()
}

impl Side<'_> {
    /// The text with names for the vault and, by first appearance, for identifiers.
    pub(crate) fn named(&self, text: &str) -> String {
        let text = text.replace(self.host, "{vault}");
        let mut ids: Vec<String> = Vec::new();
        let mut out = String::new();
        for run in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
            let word = run.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
                let known = ids.iter().position(|id| id == word);
                let number = known.unwrap_or_else(|| {
                    ids.push(word.to_owned());
                    ids.len() - 1
                });
                out.push_str(&format!("<{}>{}", number + 1, &run[word.len()..]));
            } else {
                out.push_str(run);
            }
        }
        out
    }
}

#[test]
fn every_kind_of_difference_is_found() {
    let found = |recorded: &str, ours: &str| {
        let found = bodies(&Tree::read(recorded), &Tree::read(ours));
        found.into_iter().map(|it| format!("{}: {} / {}", it.member, it.recorded, it.ours)).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    for (recorded, ours, expected) in [
        (r#"{"a":1}"#, r#"{"a":2}"#, &["a: 1 / 2"][..]),
        (r#"{"a":{"b":"x"}}"#, r#"{"a":{}}"#, &["a.b: \"x\" / absent"]),
        (r#"{"a":{}}"#, r#"{"a":{"b":null}}"#, &["a.b: absent / null"]),
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, &["order of the members: a, b / b, a"]),
        (r#"{"a":[1,{"b":2}]}"#, r#"{"a":[1,{"b":3}]}"#, &["a[1].b: 2 / 3"]),
        (r#"{"a":[1]}"#, r#"{"a":[]}"#, &["a: [1] / []"]),
        (r#"{"a":true}"#, r#"{"a":"true"}"#, &["a: true / \"true\""]),
        (r#"{"exp":1}"#, r#"{"exp":2}"#, &none),
        (r#"{"exp":1}"#, r#"{"exp":"2"}"#, &["exp: 1 / \"2\""]),
        (r#"{"exp":1}"#, r#"{}"#, &["exp: <time> / absent"]),
        (r#"{"csr":"<csr>"}"#, r#"{"csr":"AAAA"}"#, &none),
        (r#"{"csr":"<csr>"}"#, r#"{"csr":""}"#, &["csr: \"<csr>\" / \"\""]),
        (r#"{"csr":"AgEB"}"#, r#"{"csr":"AgEC"}"#, &["csr: \"AgEB\" / \"AgEC\""]),
        (r#"{"x5t":"a_b"}"#, r#"{"x5t":"a+b="}"#, &["x5t: \"a_b\" / \"a+b=\""]),
        (r#"{"x5t":"a_b"}"#, r#"{"x5t":"c_dd"}"#, &["x5t: \"a_b\" / \"c_dd\""]),
        (r#"{"id":"x/<1>"}"#, r#"{"id":"x/<2>"}"#, &["id: \"x/<1>\" / \"x/<2>\""]),
        (r#"{"value":"A\n<b64>\nZ\n"}"#, r#"{"value":"A\nxx\nZ\n"}"#, &none),
        (r#"{"value":"A\n<b64>\nZ\n"}"#, r#"{"value":"A\nxx\nZ"}"#, &["value: \"A\\n<b64>\\nZ\\n\" / \"A\\nxx\\nZ\""]),
    ] {
        assert_eq!(found(recorded, ours), expected, "{recorded} {ours}");
    }
    let id = "0123456789abcdef0123456789abcdef";
    assert_eq!(Side { host: "h:1" }.named(&format!("https://h:1/a/{id}?b={id}")), "https://{vault}/a/<1>?b=<1>");
    assert!(texts("location", Some("a"), None).is_some() && texts("location", None, None).is_none());
}
