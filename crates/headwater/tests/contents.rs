//! The crate's table of contents is complete.

/// The names in the `pub use` and `pub mod` items of a crate's root, hidden ones aside.
fn public_names(root: &str) -> Vec<String> {
    let code: String = root.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut names = Vec::new();
    for item in code.split(';') {
        let item = item.trim();
        if let Some((_, module)) = item.split_once("pub mod ") {
            names.push(module.to_owned());
        } else if let Some((_, used)) = item.split_once("pub use ") {
            let listed = used.rsplit("::").next().unwrap_or(used);
            let listed = listed.trim_matches(['{', '}']).split(',').map(|name| name.trim().to_owned());
            names.extend(listed.filter(|name| !name.is_empty()));
        }
    }
    names.retain(|name| !name.starts_with("__"));
    names
}

#[test]
fn everything_at_the_root_of_the_core_is_here_too() {
    let core = public_names(include_str!("../../core/src/lib.rs"));
    assert!(core.iter().any(|name| name == "Aggregate") && core.iter().any(|name| name == "store"), "{core:?}");

    let here = include_str!("../src/lib.rs");
    let words: Vec<&str> = here
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split(|character: char| !character.is_alphanumeric() && character != '_'))
        .collect();
    let missing: Vec<_> = core.iter().filter(|name| !words.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "`headwater` does not re-export {missing:?}");
}
