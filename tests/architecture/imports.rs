//! Files import each other in one direction. A path is followed through re-exports to the file that declares what it
//! names, so a folder's `mod.rs` that only names its files is no way around.

use crate::source::{Source, sources};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Two files that know each other are one thing in two parts; more are a knot.
const MAX_CIRCLE: usize = 2;

/// Knots that are still there, by one file of each, with how many files they have; they may become smaller.
const KNOTS: &[(&str, usize)] = &[
    ("app", 4),
    ("cli", 4),
    ("domain::policy", 5),
    ("issuer::acme", 9),
    ("issuer::digicert", 10),
    ("keys", 10),
    ("transport::grpc", 13),
    ("transport::listener::account", 3),
    ("transport::rest::gateway", 11),
];

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

/// All paths of a tree of imports (`a::{b, c as d, self}`), with the names that they get.
fn leaves(tree: &str, before: &[String], into: &mut Vec<(Names, String)>) {
    let tree = tree.trim();
    let (path, group) = match tree.split_once('{') {
        Some((path, group)) => (path, group.strip_suffix('}')),
        None => (tree, None),
    };
    let mut names = before.to_vec();
    let (path, renamed) = path.split_once(" as ").map_or((path, None), |(path, name)| (path, Some(name)));
    names.extend(path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
    let Some(group) = group else {
        names.pop_if(|last| names_itself(last));
        let last = names.last().cloned().unwrap_or_default();
        return into.push((names, renamed.map_or(last, |name| name.trim().to_owned())));
    };
    let (mut depth, mut begin) = (0, 0);
    for (index, c) in group.char_indices().chain([(group.len(), ',')]) {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            if !group[begin..index].trim().is_empty() {
                leaves(&group[begin..index], &names, into);
            }
            begin = index + 1;
        }
    }
}

/// `a::{self}` is `a`, and of `a::*` at least `a` is known.
fn names_itself(part: &str) -> bool {
    part == "self" || part == "*"
}

fn read(source: &Source, modules: &BTreeMap<Names, PathBuf>) -> Imports {
    let mut imports = Imports { module: module_of(&source.path), ..Imports::default() };
    let text = source.lines.join("\n");
    for statement in text.split(';') {
        let statement = statement.rsplit_once("\n\n").map_or(statement, |(_, last)| last).trim_start();
        let line = statement.lines().skip_while(|line| !is_use(line)).collect::<Vec<_>>().join(" ");
        let Some((visibility, tree)) = line.split_once("use ") else { continue };
        let mut found = Vec::new();
        leaves(tree, &[], &mut found);
        for (path, name) in found {
            let Some(path) = imports.absolute(&path, modules) else { continue };
            if visibility.is_empty() {
                imports.paths.push(path);
            } else {
                imports.exports.insert(name, path);
            }
        }
    }
    // Paths that are written out; `pub(in crate::service)` names no import.
    for word in text.replace("pub(in crate::", "").split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
        let names: Names = word.split("::").map(str::to_owned).collect();
        if ["crate", "super"].contains(&names[0].as_str())
            && names.len() > 1
            && names.iter().all(|name| !name.is_empty())
            && let Some(path) = imports.absolute(&names, modules)
        {
            imports.paths.push(path);
        }
    }
    imports
}

fn is_use(line: &str) -> bool {
    let line = line.strip_prefix("pub(").and_then(|line| line.split_once(") ")).map_or(line, |(_, line)| line);
    line.strip_prefix("pub ").unwrap_or(line).starts_with("use ")
}

/// `src/service/jobs/mod.rs` is `service::jobs`.
fn module_of(path: &Path) -> Names {
    let path = path.strip_prefix("src").unwrap().with_extension("");
    let mut names: Names = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    names.pop_if(|last| last == "mod" || last == "lib");
    names
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
    let files: BTreeMap<Names, PathBuf> = sources.iter().map(|it| (module_of(&it.path), it.path.clone())).collect();
    let modules: BTreeMap<Names, Imports> = sources
        .iter()
        .filter(|source| !source.path.ends_with("main.rs"))
        .map(|source| (module_of(&source.path), read(source, &files)))
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
    let knots: Vec<String> = circles
        .into_iter()
        .filter(|circle| circle.len() > allowed(circle))
        .map(|circle| format!("{} files: {}", circle.len(), circle.join(", ")))
        .collect();
    assert!(knots.is_empty(), "files that import each other in a circle:\n{}", knots.join("\n"));
}
