//! `docs/configuration.md` is written from the options structs: every setting with what its documentation says.

use crate::source::{Source, sources};
use std::collections::BTreeMap;
use std::fs;
use syn::{Attribute, Expr, Field, GenericArgument, Item, ItemStruct, Lit, Meta, PathArguments, Type};

const PAGE: &str = "docs/configuration.md";

const HEAD: &str = "# Configuration

The file that `certmint serve --config FILE` reads (TOML). Every setting has a default unless it says otherwise; an unknown \
one is refused, so that a misspelt limit is not silently ignored. Durations are texts such as `\"250ms\"`, `\"30s\"`, \
`\"10m\"`, `\"24h\"` or `\"90d\"`. Options of the command line and their variables win over the file ([cli.md](cli.md)).

This page is written from the options structs of `src`.
";

/// How a section is reached from the one above it.
enum Place {
    Table,
    List,
    Map,
}

#[test]
fn the_page_of_settings_is_written_from_the_options() {
    let sources = sources();
    let mut page = HEAD.to_owned();
    section("", "Config", &structs(&sources), &mut page);
    assert!(page.matches("\n| `").count() > 90, "the test does not see the settings");
    if std::env::var_os("CERTMINT_WRITE_DOCS").is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    let written = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        written == page,
        "{PAGE} is not what the options say: CERTMINT_WRITE_DOCS=1 cargo test --test architecture"
    );
}

/// The structs that stand for a table of the file.
fn structs(sources: &[Source]) -> BTreeMap<String, &ItemStruct> {
    let items = sources.iter().flat_map(|source| &source.items);
    let found = items.filter_map(|item| match item {
        Item::Struct(item) if serde(&item.attrs).any(|words| words.contains("deny_unknown_fields")) => Some(item),
        _ => None,
    });
    found.map(|item| (item.ident.to_string(), item)).collect()
}

fn section(name: &str, of: &str, structs: &BTreeMap<String, &ItemStruct>, page: &mut String) {
    let item = structs[of];
    let (mut rows, mut below) = (String::new(), Vec::new());
    for field in item.fields.iter().filter(|field| !serde(&field.attrs).any(|words| words == "skip")) {
        let key = field.ident.as_ref().unwrap().to_string();
        match table(&field.ty, Place::Table).filter(|(_, of)| structs.contains_key(of)) {
            Some((place, of)) => below.push((key, place, of)),
            None => rows.push_str(&format!("| `{key}` | {} |\n", said(field))),
        }
    }
    if !name.is_empty() {
        page.push_str(&format!("\n## `{name}`\n\n{}\n", documentation(&item.attrs)));
    }
    if !rows.is_empty() {
        page.push_str(&format!("\n| setting | |\n|---|---|\n{rows}"));
    }
    let name = name.trim_matches(['[', ']']);
    let path = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    for (key, place, of) in below {
        let heading = match place {
            Place::Table => format!("[{}]", path(&key)),
            Place::List => format!("[[{}]]", path(&key)),
            Place::Map => format!("[{}.NAME]", path(&key)),
        };
        section(&heading, &of, structs, page);
    }
}

/// What a field says of itself.
fn said(field: &Field) -> String {
    let text = documentation(&field.attrs);
    assert!(!text.is_empty(), "the setting {} has no documentation", field.ident.as_ref().unwrap());
    text.replace('|', "\\|")
}

/// The type inside of `Option`, `Vec` and maps.
fn table(of: &Type, place: Place) -> Option<(Place, String)> {
    let Type::Path(path) = of else { return None };
    let segment = path.path.segments.last()?;
    let place = match segment.ident.to_string().as_str() {
        "Option" => place,
        "Vec" => Place::List,
        "BTreeMap" => Place::Map,
        name => return Some((place, name.to_owned())),
    };
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.last()? {
        GenericArgument::Type(inner) => table(inner, place),
        _ => None,
    }
}

/// The words of each `#[serde(...)]`.
fn serde(attributes: &[Attribute]) -> impl Iterator<Item = String> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("serde")).filter_map(|attribute| {
        match &attribute.meta {
            Meta::List(list) => Some(list.tokens.to_string()),
            _ => None,
        }
    })
}

fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(value) if value.path.is_ident("doc") => match &value.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ")
}
