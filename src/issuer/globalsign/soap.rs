//! SOAP 1.1, as far as it is needed: envelopes that are written from templates, and answers that are
//! read into a small tree. Document types are refused, so nothing is expanded or fetched.

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

/// Elements of one answer, and their depth.
const MOST_NODES: usize = 50_000;
const MOST_DEPTH: usize = 40;

/// One element, without its namespace and attributes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Node>,
}

impl Node {
    /// The first element of this name at any depth.
    pub(super) fn find(&self, name: &str) -> Option<&Node> {
        self.children.iter().find_map(|child| if child.name == name { Some(child) } else { child.find(name) })
    }

    /// All elements of this name, at any depth.
    pub(super) fn all<'a>(&'a self, name: &str, found: &mut Vec<&'a Node>) {
        for child in &self.children {
            if child.name == name {
                found.push(child);
            } else {
                child.all(name, found);
            }
        }
    }

    /// The text of the first element of this name; none where it is absent or empty.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.find(name).map(|node| node.text.trim()).filter(|text| !text.is_empty())
    }
}

/// An element with a text.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// An envelope around a call. The elements inside of the call have no namespace.
pub(super) fn envelope(namespace: &str, call: &str, request: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:gs=\"{namespace}\">\
         <soapenv:Header/><soapenv:Body><gs:{call}><Request>{request}</Request></gs:{call}></soapenv:Body>\
         </soapenv:Envelope>"
    )
}

/// Reads an answer.
///
/// # Errors
/// What is wrong, without the text.
pub(super) fn parse(text: &str) -> Result<Node, &'static str> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Node::default()];
    let mut count = 0;
    loop {
        match reader.read_event().map_err(|_| "it is no well-formed XML")? {
            Event::Start(start) => {
                count += 1;
                if count > MOST_NODES || open.len() > MOST_DEPTH {
                    return Err("it has too many elements");
                }
                let name = start.local_name().as_ref().to_owned();
                open.push(Node { name, ..Node::default() });
            }
            Event::Empty(empty) => {
                count += 1;
                if count > MOST_NODES {
                    return Err("it has too many elements");
                }
                let name = empty.local_name().as_ref().to_owned();
                if let Some(parent) = open.last_mut() {
                    parent.children.push(Node { name, ..Node::default() });
                }
            }
            Event::End(_) => {
                let (Some(node), Some(parent)) = (open.pop(), open.last_mut()) else {
                    return Err("it is no well-formed XML");
                };
                parent.children.push(node);
            }
            Event::Text(piece) => add(&mut open, &piece.xml10_content()),
            Event::CData(piece) => add(&mut open, &piece.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|_| "it has an unknown entity")?;
                let named = match reference.xml10_content().as_ref() {
                    "amp" => Some('&'),
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => None,
                };
                let character = character.or(named).ok_or("it has an unknown entity")?;
                add(&mut open, character.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => return Err("it has a document type"),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    match (open.pop(), open.pop()) {
        (Some(root), None) if !root.children.is_empty() => Ok(root),
        _ => Err("it is no well-formed XML"),
    }
}

fn add(open: &mut [Node], text: &str) {
    if let Some(node) = open.last_mut() {
        node.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let request = element("Password", "a&b<c>\"d\"'e") + &element("Empty", "");
        let node = parse(&envelope("urn:x", "Call", &request)).unwrap();
        assert_eq!(node.text_of("Password"), Some("a&b<c>\"d\"'e"));
        assert_eq!(node.text_of("Empty"), None);
        assert_eq!(node.find("Call").unwrap().children[0].name, "Request");
    }

    #[test]
    fn texts_in_any_form_are_read() {
        let node = parse("<a><ns:b xmlns:ns='urn:x'> x&#65;<![CDATA[<&]]> </ns:b><b>2</b><c/></a>").unwrap();
        assert_eq!(node.text_of("b"), Some("xA<&"));
        let mut found = Vec::new();
        node.all("b", &mut found);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let deep = "<a>".repeat(60);
        for text in ["", "plain", "<a>", "<a></b>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a>&x;</a>", &deep] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
