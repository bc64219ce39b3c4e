//! Deserializes structs from JSON objects only, and reports the member that failed. By default serde also fills a
//! struct from an array, by position.

use crate::domain::text::readable;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use std::cell::RefCell;
use std::fmt;

/// Longest name of a member in a message, in characters; names of tags are the caller's.
const MAX_NAME: usize = 64;

/// Reads a `T`; where that fails, the error and the member, as in `policy.lifetime_actions[0].trigger` (empty for the
/// whole document).
pub(super) fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, (D::Error, String)> {
    let failed = RefCell::new(None);
    let place = Place { path: Path::Root, failed: &failed };
    T::deserialize(At { inner: deserializer, place }).map_err(|error| (error, failed.take().unwrap_or_default()))
}

/// Where in the document something stands.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(parent, name) => {
                let dot = if matches!(parent, Self::Root) { "" } else { "." };
                let shown = readable(name, MAX_NAME);
                write!(out, "{parent}{dot}{shown}")
            }
            Self::Item(parent, index) => write!(out, "{parent}[{index}]"),
        }
    }
}

#[derive(Clone, Copy)]
struct Place<'p> {
    path: Path<'p>,
    /// The innermost place of a failure.
    failed: &'p RefCell<Option<String>>,
}

impl<'p> Place<'p> {
    fn failed<E>(self, error: E) -> E {
        self.failed.borrow_mut().get_or_insert_with(|| self.path.to_string());
        error
    }

    fn at<'q>(self, path: Path<'q>) -> Place<'q>
    where
        'p: 'q,
    {
        Place { path, failed: self.failed }
    }
}

/// A deserializer, visitor, seed or access at a place.
struct At<'p, T> {
    inner: T,
    place: Place<'p>,
}

impl<'p, T> At<'p, T> {
    fn with<U>(&self, inner: U) -> At<'p, U> {
        At { inner, place: self.place }
    }
}

/// What the members of the bodies are; asked for by their types, the format names the place of another one exactly.
macro_rules! as_asked {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.with(visitor);
            self.inner.$method(visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for At<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.inner.deserialize_any(visitor)
    }

    as_asked!(deserialize_bool deserialize_i64 deserialize_str deserialize_string deserialize_option deserialize_seq
        deserialize_map);

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    /// A struct is an object, and nothing else.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.inner.deserialize_map(visitor)
    }

    /// As the format has it: without a stack for what is nested.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct enum
        identifier
    }
}

/// Passes on what JSON can be.
impl<'de, V: Visitor<'de>> Visitor<'de> for At<'_, V> {
    type Value = V::Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(out)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<V::Value, E> {
        self.inner.visit_bool(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<V::Value, E> {
        self.inner.visit_i64(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<V::Value, E> {
        self.inner.visit_u64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        self.inner.visit_f64(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V::Value, E> {
        self.inner.visit_str(value)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        self.inner.visit_borrowed_str(value)
    }

    fn visit_string<E: Error>(self, value: String) -> Result<V::Value, E> {
        self.inner.visit_string(value)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.with(deserializer);
        self.inner.visit_some(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.with(deserializer);
        self.inner.visit_newtype_struct(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Items { items, place: self.place, index: 0 })
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Members { members, place: self.place, name: String::new() })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for At<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let (place, deserializer) = (self.place, self.with(deserializer));
        self.inner.deserialize(deserializer).map_err(|error| place.failed(error))
    }
}

struct Items<'p, A> {
    items: A,
    place: Place<'p>,
    index: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let Self { items, place, index } = self;
        let path = Path::Item(&place.path, *index);
        *index += 1;
        items.next_element_seed(At { inner: seed, place: place.at(path) })
    }

    fn size_hint(&self) -> Option<usize> {
        self.items.size_hint()
    }
}

struct Members<'p, A> {
    members: A,
    place: Place<'p>,
    name: String,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let Some(name) = self.members.next_key::<String>()? else { return Ok(None) };
        self.name = name;
        seed.deserialize(self.name.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let Self { members, place, name } = self;
        let path = Path::Member(&place.path, name);
        members.next_value_seed(At { inner: seed, place: place.at(path) })
    }

    fn size_hint(&self) -> Option<usize> {
        self.members.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Outer {
        a: Option<i64>,
        inner: Option<Inner>,
        all: Option<Vec<Inner>>,
        map: Option<BTreeMap<String, Option<String>>>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Inner {
        b: Option<bool>,
    }

    fn outer(text: &str) -> Result<Outer, String> {
        read(&mut serde_json::Deserializer::from_str(text)).map_err(|(_, path)| path)
    }

    #[test]
    fn objects_are_read_by_the_names_of_their_members() {
        let text = r#"{"a":1,"x":[{}],"inner":{"b":true},"all":[{},{"b":false}],"map":{"k":"v","n":null}}"#;
        let expected = Outer {
            a: Some(1),
            inner: Some(Inner { b: Some(true) }),
            all: Some(vec![Inner { b: None }, Inner { b: Some(false) }]),
            map: Some(BTreeMap::from([("k".to_owned(), Some("v".to_owned())), ("n".to_owned(), None)])),
        };
        assert_eq!(outer(text), Ok(expected));
        assert_eq!(outer(r#"{"a":null,"inner":null}"#), Ok(Outer::default()));
    }

    #[test]
    fn an_array_is_no_object_and_the_member_is_named() {
        for (text, path) in [
            ("[1]", ""),
            ("[]", ""),
            (r#"{"inner":[true]}"#, "inner"),
            (r#"{"inner":[]}"#, "inner"),
            (r#"{"all":[{},[true]]}"#, "all[1]"),
            (r#"{"all":{}}"#, "all"),
            (r#"{"inner":{"b":{}}}"#, "inner.b"),
            (r#"{"map":[["k","v"]]}"#, "map"),
            (r#"{"map":{"k":1}}"#, "map.k"),
        ] {
            assert_eq!(outer(text), Err(path.to_owned()), "{text}");
        }
        let long = outer(&format!(r#"{{"map":{{"\u0007{}":1}}}}"#, "x".repeat(1000))).unwrap_err();
        assert_eq!(long, format!("map.{}", "x".repeat(MAX_NAME)));
    }
}
