//! The files of `src` as far as the rules need them, parsed; without what is there for tests only.

use std::fs;
use std::path::{Path, PathBuf};
use syn::{Attribute, FnArg, ImplItem, ImplItemFn, Item, Type, Visibility};

pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// `src/service/jobs/mod.rs` is `service::jobs`.
    pub(crate) module: Vec<String>,
    pub(crate) items: Vec<Item>,
}

/// A struct or an enum, and how many named fields it has.
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) fields: usize,
}

pub(crate) fn sources() -> Vec<Source> {
    crate::rust_files(Path::new("src"))
        .into_iter()
        .map(|path| parsed(&fs::read_to_string(&path).unwrap(), path))
        .collect()
}

fn parsed(text: &str, path: PathBuf) -> Source {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut module: Vec<String> = path
        .strip_prefix("src")
        .unwrap_or(&path)
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    module.pop_if(|last| last == "mod" || last == "lib");
    let items = file.items.into_iter().filter(|item| !attributes(item).iter().any(is_for_tests)).collect();
    Source { path, module, items }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

impl Source {
    pub(crate) fn types(&self) -> impl Iterator<Item = Declared> {
        self.items.iter().filter_map(|item| match item {
            Item::Struct(it) => {
                let fields = it.fields.iter().filter(|field| field.ident.is_some()).count();
                Some(Declared { name: it.ident.to_string(), fields })
            }
            Item::Enum(it) => Some(Declared { name: it.ident.to_string(), fields: 0 }),
            _ => None,
        })
    }

    /// The functions of a type's own, with its name; those of a trait are the trait's.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (String, &ImplItemFn)> {
        let own = self.items.iter().filter_map(|item| match item {
            Item::Impl(it) if it.trait_.is_none() => Some(it),
            _ => None,
        });
        own.flat_map(|block| {
            let name = match &*block.self_ty {
                Type::Path(path) => path.path.segments.last().unwrap().ident.to_string(),
                _ => String::new(),
            };
            block.items.iter().filter_map(move |item| match item {
                ImplItem::Fn(function) => Some((name.clone(), function)),
                _ => None,
            })
        })
    }
}

/// Whether anybody may call it on a value.
pub(crate) fn is_public_method(function: &ImplItemFn) -> bool {
    matches!(function.vis, Visibility::Public(_)) && matches!(function.sig.inputs.first(), Some(FnArg::Receiver(_)))
}

#[test]
fn a_file_is_read_by_its_items() {
    let text = "use a::b;\npub struct Thing<T> { pub(super) one: T, two: Vec<u8> }\nimpl<T> Thing<T> {\n    pub async fn \
                long(&self, name: &str) -> u8 { 0 }\n    fn short() {}\n}\nimpl Drop for Thing<u8> { fn drop(&mut self) {} }\n\
                #[cfg(test)]\nmod tests { struct Other; }\n";
    let source = parsed(text, PathBuf::from("src/service/jobs/mod.rs"));
    assert_eq!(source.module, ["service", "jobs"]);
    let types: Vec<_> = source.types().map(|it| (it.name, it.fields)).collect();
    assert_eq!(types, [("Thing".to_owned(), 2)]);
    let functions: Vec<_> =
        source.functions().map(|(of, it)| (of, it.sig.ident.to_string(), is_public_method(it))).collect();
    let expected = [("Thing", "long", true), ("Thing", "short", false)];
    assert_eq!(functions, expected.map(|(of, name, public)| (of.to_owned(), name.to_owned(), public)));
}
