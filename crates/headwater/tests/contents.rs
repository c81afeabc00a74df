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

/// The features that a manifest lists, without comments: name and what it turns on.
fn features(manifest: &str) -> Vec<(&str, &str)> {
    let listed = manifest.split("[features]").nth(1).and_then(|rest| rest.split("\n[").next());
    let lines = listed.unwrap_or_default().lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(" = ")).collect()
}

#[test]
fn every_codec_of_messaging_can_be_had_by_a_feature_of_the_same_name() {
    let here = features(include_str!("../Cargo.toml"));
    let codecs: Vec<_> = features(include_str!("../../nats-messaging/Cargo.toml"))
        .into_iter()
        .filter(|(_, turns_on)| turns_on.starts_with("[\"dep:"))
        .map(|(name, _)| name)
        .collect();
    assert!(codecs.contains(&"msgpack") && codecs.contains(&"protobuf"), "{codecs:?}");
    for name in codecs {
        let passed_on = format!("[\"messaging\", \"headwater-nats-messaging/{name}\"]");
        assert!(here.contains(&(name, passed_on.as_str())), "`{name}` is missing or does not read {passed_on}");
    }
}

#[cfg(all(feature = "msgpack", feature = "protobuf"))]
#[test]
fn values_travel_in_the_codecs_that_the_features_bring() {
    use headwater::messaging::codec::{Codecs, Decode, Encode, MessagePack, Proto};

    let mut body = Vec::new();
    ["a"].encode(&MessagePack, &mut body).unwrap();
    let read = <[String; 1]>::decode("application/msgpack", &body.into(), &Codecs::default()).unwrap();
    assert_eq!(read, ["a"]);

    let mut body = Vec::new();
    Proto("a".to_owned()).encode(&MessagePack, &mut body).unwrap();
    let read = Proto::<String>::decode("application/protobuf", &body.into(), &Codecs::default()).unwrap();
    assert_eq!(read.0, "a");
}
