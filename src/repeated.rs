//! Finds a member that an object has twice. RFC 8259 section 4 leaves open which of the two counts: a proxy or an audit
//! in front of the server may take the other one.

use std::borrow::Cow;

/// The name of the first member that an object of the document has twice. The document is valid JSON: strings and
/// brackets are where they seem to be.
///
/// It needs no stack and no tree, whatever is nested in the document, and 24 bytes for each name of the objects that
/// are open.
pub(crate) fn member(document: &[u8]) -> Option<String> {
    // The names of all open objects, and where those of each begin; an array has none.
    let (mut names, mut open): (Vec<Cow<'_, str>>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
    let (mut at, mut is_name) = (0, false);
    while let Some(byte) = document.get(at) {
        match byte {
            b'{' => {
                open.push(Some(names.len()));
                is_name = true;
            }
            b'[' => {
                open.push(None);
                is_name = false;
            }
            b',' => is_name = matches!(open.last(), Some(Some(_))),
            b'}' | b']' => {
                if let Some(Some(first)) = open.pop() {
                    let own = names.get_mut(first..).unwrap_or_default();
                    own.sort_unstable();
                    if let Some(pair) = own.windows(2).find(|pair| pair[0] == pair[1]) {
                        return Some(pair[0].to_string());
                    }
                    names.truncate(first);
                }
                is_name = false;
            }
            b'"' => {
                let end = end_of_string(document, at);
                if is_name {
                    names.push(unescaped(document.get(at..=end).unwrap_or_default()));
                }
                is_name = false;
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the string ends that begins here.
fn end_of_string(document: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while let Some(byte) = document.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    document.len().saturating_sub(1)
}

/// The text of a string with its quotes.
fn unescaped(quoted: &[u8]) -> Cow<'_, str> {
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if inside.contains(&b'\\') {
        return serde_json::from_slice::<String>(quoted).unwrap_or_default().into();
    }
    String::from_utf8_lossy(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_stands_twice_is_found_wherever_it_stands_and_however_it_is_written() {
        for (document, name) in [
            (r#"{"a":1,"a":1}"#, "a"),
            (r#"{"a":{"b":[{"c":1,"d":{"c":2},"c":3}]}}"#, "c"),
            (r#"{"a":{"x":"}"},"b":[],"\u0061":2}"#, "a"),
            (r#"{"":1,"":2}"#, ""),
            (r#"[{"a\"b":"\\","a\"b":1}]"#, "a\"b"),
        ] {
            assert_eq!(member(document.as_bytes()).as_deref(), Some(name), "{document}");
        }
        for document in [
            "{}",
            r#"[{"a":1},{"a":1}]"#,
            r#"{"a":{"a":{"a":"a"}},"b":"a"}"#,
            r#"{"a":["a","a"],"A":1}"#,
            r#"{"a":"\",\"a\":","b":1}"#,
            "1",
        ] {
            assert_eq!(member(document.as_bytes()), None, "{document}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(200_000), "}".repeat(200_000));
        assert_eq!(member(deep.as_bytes()), None);
    }
}
