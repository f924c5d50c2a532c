//! The modules of a crate: their files, the names that each has, and the paths that its code uses.

use crate::circles::cfg_test::is_for_tests;
use crate::circles::paths::{CodePaths, UsedPath, use_leaves};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use syn::visit::Visit;
use syn::{Attribute, Item, ItemMod, ItemUse, Visibility};

/// The place of a module in [`CrateModules::modules`].
pub type ModuleId = usize;
/// The place of a file in [`CrateModules::files`].
pub type FileId = usize;

/// What a name in a module refers to.
#[derive(Clone)]
pub enum Definition {
    /// An item that the module itself defines.
    Item,
    /// A child module.
    Module(ModuleId),
    /// The end of a `use`: the path from this module.
    Use(Vec<String>),
}

/// A module, inline or in a file of its own.
pub struct Module {
    pub file: FileId,
    pub parent: Option<ModuleId>,
    pub names: HashMap<String, Vec<Definition>>,
    /// Paths of `use path::*`.
    pub globs: Vec<Vec<String>>,
}

/// A path that the code of a module uses.
pub struct Reference {
    pub module: ModuleId,
    pub line: usize,
    pub path: Vec<String>,
    /// Whether it is the path of `use path::*`.
    pub glob: bool,
}

impl Reference {
    /// The path as it is written in the code.
    pub fn text(&self) -> String {
        format!("{}{}", self.path.join("::"), if self.glob { "::*" } else { "" })
    }
}

/// All modules of a crate without its code for tests. The first module is the root.
#[derive(Default)]
pub struct CrateModules {
    pub files: Vec<PathBuf>,
    pub modules: Vec<Module>,
    pub references: Vec<Reference>,
}

impl CrateModules {
    /// Reads the crate with this root file.
    pub fn load(root: &Path) -> Result<Self> {
        let mut modules = Self::default();
        let folder = root.parent().context("a crate's first file lies in a folder")?;
        modules.load_file(root, folder, None)?;
        Ok(modules)
    }

    /// The file with the code of a module.
    pub fn file_of(&self, module: ModuleId) -> FileId {
        self.modules.get(module).map_or(0, |module| module.file)
    }

    /// Reads a module's file. The files of its children are in `folder`.
    fn load_file(&mut self, path: &Path, folder: &Path, parent: Option<ModuleId>) -> Result<ModuleId> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("parse {}", path.display()))?;
        self.files.push(path.to_owned());
        let module = self.new_module(self.files.len() - 1, parent);
        self.add_items(module, &parsed.items, folder)?;
        Ok(module)
    }

    fn new_module(&mut self, file: FileId, parent: Option<ModuleId>) -> ModuleId {
        self.modules.push(Module { file, parent, names: HashMap::new(), globs: Vec::new() });
        self.modules.len() - 1
    }

    fn add_items(&mut self, module: ModuleId, items: &[Item], folder: &Path) -> Result<()> {
        for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
            match item {
                Item::Mod(child) => self.add_child(module, child, folder)?,
                Item::Use(item) => self.add_use(module, item),
                other => {
                    if let Some(name) = name(other) {
                        self.define(module, name, Definition::Item);
                    }
                    self.add_code(module, other);
                }
            }
        }
        Ok(())
    }

    fn add_child(&mut self, module: ModuleId, item: &ItemMod, folder: &Path) -> Result<()> {
        let name = item.ident.to_string();
        let own = folder.join(&name);
        let child = if let Some((_, items)) = &item.content {
            let child = self.new_module(self.file_of(module), Some(module));
            self.add_items(child, items, &own)?;
            child
        } else {
            let candidates = [own.with_extension("rs"), own.join("mod.rs")];
            let Some(file) = candidates.iter().find(|file| file.is_file()) else {
                bail!("module {name} has no file in {}", folder.display());
            };
            self.load_file(file, &own, Some(module))?
        };
        self.define(module, name, Definition::Module(child));
        Ok(())
    }

    fn add_use(&mut self, module: ModuleId, item: &ItemUse) {
        if item.leading_colon.is_some() {
            return;
        }
        let is_private = matches!(item.vis, Visibility::Inherited);
        for leaf in use_leaves(&item.tree) {
            if is_private {
                let (line, path, glob) = (leaf.line, leaf.path.clone(), leaf.name.is_none());
                self.references.push(Reference { module, line, path, glob });
            }
            match leaf.name {
                Some(name) => self.define(module, name, Definition::Use(leaf.path)),
                None => {
                    if let Some(module) = self.modules.get_mut(module) {
                        module.globs.push(leaf.path);
                    }
                }
            }
        }
    }

    /// The paths of an item's code. A `use` in a function is taken for one of the module.
    fn add_code(&mut self, module: ModuleId, item: &Item) {
        let mut code = CodePaths::default();
        code.visit_item(item);
        for UsedPath { path, line } in code.paths {
            self.references.push(Reference { module, line, path, glob: false });
        }
        for item in code.uses {
            self.add_use(module, &item);
        }
    }

    fn define(&mut self, module: ModuleId, name: String, definition: Definition) {
        if let Some(module) = self.modules.get_mut(module) {
            module.names.entry(name).or_default().push(definition);
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
