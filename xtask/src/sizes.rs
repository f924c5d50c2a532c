//! Sizes that keep code readable: lengths of files and functions, and widths of comments.

use crate::sources::{Source, sources};
use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Signature, TraitItemFn};

/// Nine in ten files have at most this many lines.
const P90_FILE: usize = 300;
/// A longer file says at its top why it is long: `//! … over 500 lines because …`.
const LONGEST_FILE: usize = 500;
/// Ninety-nine in a hundred functions have at most this many lines.
const P99_FUNCTION: usize = 60;
const LONGEST_FUNCTION: usize = 100;
/// As `max_width` in rustfmt.toml, which does not format comments.
const WIDEST_COMMENT: usize = 110;

fn rust_sources() -> Vec<Source> {
    sources(&tcs_testkit::repository(), &["rs"]).unwrap()
}

/// The value that a share of all values, in percent, do not exceed.
fn percentile(mut values: Vec<usize>, percent: usize) -> usize {
    values.sort_unstable();
    values[(values.len() - 1) * percent / 100]
}

#[test]
fn files_are_short() {
    let sources = rust_sources();
    let mut lengths = Vec::new();
    for source in &sources {
        let length = source.text.lines().count();
        let top: Vec<&str> = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let says_why = top.join(" ").contains("over 500 lines because");
        let name = source.path.display();
        assert!(
            length <= LONGEST_FILE || says_why,
            "{name} has {length} lines: split it, or say why at its top"
        );
        lengths.push(length);
    }
    let p90 = percentile(lengths, 90);
    assert!(p90 <= P90_FILE, "one in ten files has more than {P90_FILE} lines: the 90th percentile is {p90}");
}

/// The functions of a file: names and lengths in lines.
#[derive(Default)]
struct Functions(Vec<(String, usize)>);

impl Functions {
    fn add(&mut self, signature: &Signature, body: &Block) {
        let line = |span: Span| span.start().line;
        let length = line(body.brace_token.span.close()) + 1 - line(signature.fn_token.span);
        self.0.push((signature.ident.to_string(), length));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.add(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[test]
fn functions_are_short() {
    let mut all = Vec::new();
    for source in rust_sources() {
        let mut functions = Functions::default();
        functions.visit_file(&syn::parse_file(&source.text).unwrap());
        all.extend(functions.0.into_iter().map(|(name, length)| {
            let long = format!("{length} lines: {name} in {}", source.path.display());
            (length, long)
        }));
    }
    let named = |over: usize| -> String {
        let long = all.iter().filter(|(length, _)| *length > over).map(|(_, long)| long.as_str());
        long.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(named(LONGEST_FUNCTION), "", "no function has more than {LONGEST_FUNCTION} lines");
    let p99 = percentile(all.iter().map(|(length, _)| *length).collect(), 99);
    let long = named(P99_FUNCTION);
    assert!(p99 <= P99_FUNCTION, "one in a hundred functions is longer than {P99_FUNCTION} lines:\n{long}");
}

#[test]
fn comments_are_no_wider_than_code() {
    let mut wide = Vec::new();
    for source in rust_sources() {
        for (number, line) in source.text.lines().enumerate() {
            if line.trim_start().starts_with("//") && line.chars().count() > WIDEST_COMMENT {
                wide.push(format!("{}:{}", source.path.display(), number + 1));
            }
        }
    }
    let list = wide.join("\n");
    assert!(wide.is_empty(), "{} comments are wider than {WIDEST_COMMENT} columns:\n{list}", wide.len());
}
