//! Files import each other in one direction. A path is followed through re-exports to the file that declares what it
//! names, so a folder's `mod.rs` that only names its files is no way around.

use crate::source::{Source, sources};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

/// Two files that know each other are one thing in two parts; more are a knot.
const MAX_CIRCLE: usize = 2;

/// Knots that are still there, by one file of each, with how many files they have. They may become smaller, and the numbers
/// with them.
const KNOTS: &[(&str, usize)] = &[("issuer::digicert", 10), ("transport::grpc", 13)];

type Names = Vec<String>;

/// What a file says of others.
#[derive(Default)]
struct Imports {
    /// Paths from the root of the crate, and whether the import is a re-export.
    paths: Vec<Names>,
    /// Name here, and the path that it stands for.
    exports: BTreeMap<String, Names>,
    module: Names,
}

impl Imports {
    /// From the root of the crate; `None` for other crates.
    fn absolute(&self, path: &[String], modules: &BTreeMap<Names, PathBuf>) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([&self.module, rest].concat()),
            "super" => {
                let (_, above) = self.module.split_last()?;
                let ups = rest.iter().take_while(|part| *part == "super").count();
                Some([above.get(..above.len().checked_sub(ups)?)?, &rest[ups..]].concat())
            }
            name => {
                let child = [self.module.as_slice(), &[name.to_owned()]].concat();
                modules.contains_key(&child).then(|| [child.as_slice(), rest].concat())
            }
        }
    }
}

/// All paths of a tree of imports (`a::{b, c as d, self}`), with the names that they get. Of `a::*` at least `a` is known.
fn leaves(tree: &UseTree, before: &[String], into: &mut Vec<(Names, String)>) {
    let named = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    let last = || before.last().cloned().unwrap_or_default();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &named(&path.ident), into),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, before, into)),
        UseTree::Glob(_) => into.push((before.to_vec(), last())),
        UseTree::Name(name) if name.ident == "self" => into.push((before.to_vec(), last())),
        UseTree::Name(name) => into.push((named(&name.ident), name.ident.to_string())),
        UseTree::Rename(name) => into.push((named(&name.ident), name.rename.to_string())),
    }
}

/// Paths that are written out where they are used.
#[derive(Default)]
struct Written(Vec<Names>);

impl<'a> Visit<'a> for Written {
    fn visit_path(&mut self, path: &'a syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// Nothing is known of the arguments of a macro but their words.
    fn visit_macro(&mut self, call: &'a syn::Macro) {
        visit::visit_path(self, &call.path);
        let text = call.tokens.to_string().replace(" :: ", "::").replace("in crate::", "");
        let paths =
            text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').filter(|word| word.contains("::"));
        self.0.extend(paths.map(|word| word.split("::").map(str::to_owned).collect()));
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        let mut found = Vec::new();
        leaves(&item.tree, &[], &mut found);
        self.0.extend(found.into_iter().map(|(path, _)| path));
    }

    /// `pub(in crate::service)` names no import.
    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}
}

fn read(source: &Source, modules: &BTreeMap<Names, PathBuf>) -> Imports {
    let mut imports = Imports { module: source.module.clone(), ..Imports::default() };
    for item in &source.items {
        if let Item::Use(item) = item {
            let mut found = Vec::new();
            leaves(&item.tree, &[], &mut found);
            for (path, name) in found {
                let Some(path) = imports.absolute(&path, modules) else { continue };
                if matches!(item.vis, Visibility::Inherited) {
                    imports.paths.push(path);
                } else {
                    imports.exports.insert(name, path);
                }
            }
            continue;
        }
        let mut written = Written::default();
        written.visit_item(item);
        for path in written.0 {
            if path.len() > 1
                && ["crate", "super"].contains(&path[0].as_str())
                && let Some(path) = imports.absolute(&path, modules)
            {
                imports.paths.push(path);
            }
        }
    }
    imports
}

/// The file that declares what a path names.
fn declared(path: &[String], modules: &BTreeMap<Names, Imports>, depth: usize) -> Option<Names> {
    let length = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let module = &path[..length];
    let export = path.get(length).and_then(|name| modules[module].exports.get(name));
    match export {
        Some(target) if depth > 0 => {
            let target = [target.as_slice(), &path[length + 1..]].concat();
            declared(&target, modules, depth - 1).or_else(|| Some(module.to_vec()))
        }
        _ => Some(module.to_vec()),
    }
}

fn graph() -> BTreeMap<Names, BTreeSet<Names>> {
    let sources = sources();
    let files: BTreeMap<Names, PathBuf> = sources.iter().map(|it| (it.module.clone(), it.path.clone())).collect();
    let modules: BTreeMap<Names, Imports> = sources
        .iter()
        .filter(|source| !source.path.ends_with("main.rs"))
        .map(|source| (source.module.clone(), read(source, &files)))
        .collect();
    let edges = |imports: &Imports| {
        let found = imports.paths.iter().filter_map(|path| declared(path, &modules, 8));
        found.filter(|to| *to != imports.module).collect()
    };
    modules.iter().map(|(module, imports)| (module.clone(), edges(imports))).collect()
}

/// All that can be reached from a file.
fn reached<'g>(from: &'g Names, graph: &'g BTreeMap<Names, BTreeSet<Names>>) -> BTreeSet<&'g Names> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(file) = left.pop() {
        left.extend(graph[file].iter().filter(|to| reached.insert(*to)));
    }
    reached
}

#[test]
fn no_more_than_two_files_import_each_other_in_a_circle() {
    let graph = graph();
    let reach: BTreeMap<&Names, BTreeSet<&Names>> = graph.keys().map(|file| (file, reached(file, &graph))).collect();
    let circles: BTreeSet<Vec<String>> = graph
        .keys()
        .map(|file| reach[file].iter().filter(|other| reach[**other].contains(file)).map(|it| it.join("::")).collect())
        .collect();
    let allowed = |circle: &Vec<String>| {
        let known = KNOTS.iter().find(|(file, _)| circle.iter().any(|part| part == file));
        known.map_or(MAX_CIRCLE, |(_, files)| *files)
    };
    let has = |file: &str| circles.iter().filter(|it| it.iter().any(|part| part == file)).map(Vec::len).max();
    let loose: Vec<_> = KNOTS.iter().filter(|(file, files)| has(file) != Some(*files)).collect();
    let within = |circle: &[String]| {
        let named = |file: &Names| circle.contains(&file.join("::"));
        let edges = graph.iter().filter(|(from, _)| named(from));
        let arrows = edges.flat_map(|(from, to)| to.iter().filter(|to| named(to)).map(move |to| (from, to)));
        arrows.map(|(from, to)| format!("  {} -> {}", from.join("::"), to.join("::"))).collect::<Vec<_>>().join("\n")
    };
    let knots: Vec<String> = circles
        .iter()
        .filter(|circle| circle.len() > allowed(circle))
        .map(|circle| format!("{} files:\n{}", circle.len(), within(circle)))
        .collect();
    assert!(knots.is_empty(), "files that import each other in a circle:\n{}", knots.join("\n"));
    assert!(loose.is_empty(), "KNOTS allows more than there is: {loose:?}");
}
