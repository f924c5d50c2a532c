//! Finds paths in code: in types, expressions, patterns and `use`, and in the tokens of macros and
//! attributes.

use crate::circles::cfg_test::is_for_tests;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, ItemFn, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility};

/// A path and its line.
pub struct UsedPath {
    pub path: Vec<String>,
    pub line: usize,
}

/// One end of a `use`; without a name it is `*`.
pub struct UseLeaf {
    pub path: Vec<String>,
    pub name: Option<String>,
    pub line: usize,
}

/// Collects the paths of an item.
#[derive(Default)]
pub struct CodePaths {
    pub paths: Vec<UsedPath>,
    /// `use` in the bodies of functions.
    pub uses: Vec<ItemUse>,
}

/// All ends of a `use`.
pub fn use_leaves(tree: &UseTree) -> Vec<UseLeaf> {
    let mut leaves = Vec::new();
    collect(tree, &[], &mut leaves);
    leaves
}

fn collect(tree: &UseTree, before: &[String], leaves: &mut Vec<UseLeaf>) {
    let with = |segment: &syn::Ident| [before, &[segment.to_string()]].concat();
    let leaf = |segment: &syn::Ident, name: &syn::Ident| {
        let path = if segment == "self" { before.to_vec() } else { with(segment) };
        let name = if name == "self" { path.last().cloned().unwrap_or_default() } else { name.to_string() };
        UseLeaf { path, name: Some(name), line: segment.span().start().line }
    };
    match tree {
        UseTree::Path(path) => collect(&path.tree, &with(&path.ident), leaves),
        UseTree::Name(name) => leaves.push(leaf(&name.ident, &name.ident)),
        UseTree::Rename(rename) => leaves.push(leaf(&rename.ident, &rename.rename)),
        UseTree::Glob(glob) => {
            let line = glob.star_token.spans.first().map_or(0, |span| span.start().line);
            leaves.push(UseLeaf { path: before.to_vec(), name: None, line });
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, before, leaves)),
    }
}

impl CodePaths {
    /// Paths in tokens that are not parsed. A single name there may be anything, so it does not count.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens.into_iter().map(Some).chain([None]) {
            match token {
                Some(TokenTree::Punct(punct)) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                    continue;
                }
                Some(TokenTree::Ident(ident)) if colons == 2 => {
                    path.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                _ => {}
            }
            if path.len() > 1 {
                self.paths.push(UsedPath { path: std::mem::take(&mut path), line });
            }
            path.clear();
            colons = 0;
            match token {
                Some(TokenTree::Ident(ident)) => {
                    line = ident.span().start().line;
                    path.push(ident.to_string());
                }
                Some(TokenTree::Group(group)) => self.add_tokens(group.stream()),
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for CodePaths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let line = path.segments.first().map_or(0, |segment| segment.ident.span().start().line);
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.paths.push(UsedPath { path: segments, line });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.visit_path(&item.path);
        self.add_tokens(item.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::List(list) => self.add_tokens(list.tokens.clone()),
            Meta::NameValue(_) | Meta::Path(_) => {}
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.uses.push(item.clone());
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    // A module in a function has names of its own; none of ours has one.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    // `pub(in path)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
