//! Finds the file that defines what a path names.

use crate::circles::modules::{CrateModules, Definition, FileId, ModuleId, Reference};
use std::collections::BTreeSet;

/// How many re-exports of re-exports are followed. A longer chain is a `use` that names itself.
const LONGEST_CHAIN: usize = 16;

/// What a path, or its first part, names.
#[derive(Clone, Copy, PartialEq)]
enum Named {
    Module(ModuleId),
    /// An item in a file. What follows in the path (variant, associated function) is in the same file.
    Item(FileId),
}

/// The files of the crate that define what the reference names. A module alone does not count; what is used
/// of it does.
pub fn files_of(modules: &CrateModules, reference: &Reference) -> BTreeSet<FileId> {
    resolve(modules, reference.module, &reference.path, LONGEST_CHAIN)
        .into_iter()
        .filter_map(|named| match named {
            Named::Item(file) => Some(file),
            Named::Module(module) => reference.glob.then(|| modules.file_of(module)),
        })
        .collect()
}

fn resolve(modules: &CrateModules, from: ModuleId, path: &[String], chain: usize) -> Vec<Named> {
    let Some(chain) = chain.checked_sub(1) else { return Vec::new() };
    let mut segments = path.iter();
    let Some(first) = segments.next() else { return Vec::new() };
    let mut named = match first.as_str() {
        "crate" => vec![Named::Module(0)],
        "self" => vec![Named::Module(from)],
        "super" => parent(modules, from),
        name => lookup(modules, from, name, chain),
    };
    for segment in segments {
        let next = |place: Named| match place {
            Named::Module(module) if segment == "super" => parent(modules, module),
            Named::Module(module) => lookup(modules, module, segment, chain),
            Named::Item(_) => vec![place],
        };
        named = named.into_iter().flat_map(next).collect();
    }
    named
}

fn parent(modules: &CrateModules, module: ModuleId) -> Vec<Named> {
    modules.modules.get(module).and_then(|module| module.parent).map(Named::Module).into_iter().collect()
}

fn lookup(modules: &CrateModules, place: ModuleId, name: &str, chain: usize) -> Vec<Named> {
    let Some(module) = modules.modules.get(place) else { return Vec::new() };
    let mut found = Vec::new();
    for definition in module.names.get(name).into_iter().flatten() {
        match definition {
            Definition::Item => found.push(Named::Item(module.file)),
            Definition::Module(child) => found.push(Named::Module(*child)),
            // `use name;` of another crate, or of a name that is only in another namespace, ends nowhere.
            Definition::Use(path) if *path == [name] => {}
            Definition::Use(path) => found.extend(resolve(modules, place, path, chain)),
        }
    }
    if found.is_empty() && chain > 0 {
        for glob in &module.globs {
            for named in resolve(modules, place, glob, chain) {
                if let Named::Module(other) = named
                    && other != place
                {
                    found.extend(lookup(modules, other, name, chain - 1));
                }
            }
        }
    }
    found
}
