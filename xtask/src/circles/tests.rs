use super::*;

/// The circles of a crate with these files, each as the names of its files.
fn circles_in(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let name = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().display().to_string();
    let circles = circles_of(&folder.path().join("lib.rs")).unwrap();
    circles.iter().map(|circle| circle.files.iter().map(name).collect()).collect()
}

#[test]
fn two_files_that_use_each_other_are_a_circle() {
    let a = ("a.rs", "use crate::b::B;\npub struct A(B);");
    let root = ("lib.rs", "mod a;\nmod b;\npub use a::A;");
    for b in [
        "pub struct B; fn f(_: crate::a::A) {}",
        "use super::a; pub struct B; fn f() { a::A::new(); }",
        "pub struct B; fn f() { use crate::A; let _ = A; }",
        "pub struct B; fn f() { println!(\"{}\", crate::a::A::NAME); }",
        "pub struct B; #[arg(value_parser = crate::A::parse)] struct C;",
        "use crate::*; pub struct B; fn f(_: A) {}",
        "pub struct B; impl From<super::A> for B {}",
        "use crate::a::A as Other; pub struct B;",
    ] {
        assert_eq!(circles_in(&[root, a, ("b.rs", b)]), [["a.rs", "b.rs"]], "{b}");
    }
}

#[test]
fn three_files_are_a_circle() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::g; pub fn f() { g() }"),
        ("b.rs", "pub fn g() { crate::c::h() }"),
        ("c.rs", "pub fn h() { super::a::f() }"),
    ];
    assert_eq!(circles_in(&files), [["a.rs", "b.rs", "c.rs"]]);
}

#[test]
fn a_re_export_leads_to_the_file_that_defines() {
    let files = |parent: &'static str| {
        [
            ("lib.rs", "mod parent; fn f(_: parent::A) {}"),
            ("parent/mod.rs", parent),
            ("parent/a.rs", "use super::B; pub struct A(B);"),
            ("parent/b.rs", "pub struct B;"),
        ]
    };
    // The parent only passes on.
    assert!(circles_in(&files("mod a; mod b; pub use a::A; pub(crate) use b::B;")).is_empty());
    assert!(circles_in(&files("mod a; mod b; pub use a::*; pub use b::*;")).is_empty());
    // The parent passes on and itself uses one child, which does not use the parent.
    assert!(circles_in(&files("mod a; mod b; pub use a::A; pub use b::B; fn f(_: A) {}")).is_empty());
    // The parent defines what one child uses, and uses that child.
    let circle = circles_in(&files("mod a; mod b; pub use a::A; pub struct B; fn f(_: A) {}"));
    assert_eq!(circle, [["parent/mod.rs", "parent/a.rs"]]);
    // Two children use each other through the parent's re-exports.
    let mut both = files("mod a; mod b; pub use a::A; pub use b::B;");
    both[3].1 = "pub struct B; fn f(_: super::A) {}";
    assert_eq!(circles_in(&both), [["parent/a.rs", "parent/b.rs"]]);
}

#[test]
fn what_is_no_use_is_no_arrow() {
    let root = ("lib.rs", "pub mod a;\npub mod b;");
    let a = ("a.rs", "use crate::b::B;\npub struct A(B);");
    for b in [
        "pub struct B;",
        "pub struct B; #[cfg(test)] mod tests { use crate::a::A; fn f(_: A) {} }",
        "pub struct B; #[cfg(all(test, unix))] use crate::a::A;",
        "pub struct B; impl B { #[cfg(test)] fn f(_: crate::a::A) {} }",
        "/// [`A`](crate::a::A)\npub struct B;",
        "use crate::a; pub struct B;",
        "pub struct B; fn f() { let a = other::a::A; }",
        "pub struct B; fn f() { ::other::a::A; }",
        "pub struct B; pub(in crate::a) fn f() {}",
    ] {
        assert!(circles_in(&[root, a, ("b.rs", b)]).is_empty(), "{b}");
    }
}

#[test]
fn a_name_may_be_a_module_and_a_function() {
    let files = [
        ("lib.rs", "mod run; mod other; pub use run::run;"),
        ("run.rs", "pub fn run() { crate::other::g() }"),
        ("other.rs", "pub fn g() { crate::run() }"),
    ];
    assert_eq!(circles_in(&files), [["run.rs", "other.rs"]]);
}

#[test]
fn no_crate_has_a_circle_of_files() {
    let root = tcs_testkit::repository();
    let circles = circles(&root).unwrap();
    let text: Vec<String> = circles.iter().map(|circle| circle.text(&root)).collect();
    assert!(circles.is_empty(), "\n{}", text.concat());
}
