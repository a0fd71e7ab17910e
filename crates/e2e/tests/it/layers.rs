//! The arrows between crates, as `ARCHITECTURE.md` draws them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate may use of this workspace, development included.
const ARROWS: &[(&str, &[&str])] = &[
    ("fathom-proto", &[]),
    ("fathom-api", &[]),
    ("fathom-engine", &[]),
    ("fathom-test-database", &[]),
    ("fathom-kit", &["fathom-test-database"]),
    ("fathom-client", &["fathom-api"]),
    ("fathom-token", &["fathom-proto"]),
    (
        "fathom-auth",
        &[
            "fathom-kit",
            "fathom-proto",
            "fathom-test-database",
            "fathom-token",
        ],
    ),
    (
        "fathom-router",
        &["fathom-kit", "fathom-proto", "fathom-test-database"],
    ),
    (
        "fathom-worker",
        &["fathom-api", "fathom-engine", "fathom-kit", "fathom-proto"],
    ),
    (
        "fathom-gateway",
        &["fathom-api", "fathom-kit", "fathom-proto", "fathom-token"],
    ),
    (
        "fathom-fuzz",
        &[
            "fathom-api",
            "fathom-gateway",
            "fathom-proto",
            "fathom-token",
        ],
    ),
];
/// Crates that put the others together.
const EDGES: &[&str] = &["fathom", "fathom-e2e"];

#[test]
fn services_meet_in_proto_and_nowhere_else() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut allowed: BTreeMap<&str, BTreeSet<&str>> = ARROWS
        .iter()
        .map(|(name, uses)| (*name, uses.iter().copied().collect()))
        .collect();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if EDGES.contains(&name) {
            continue;
        }
        let allowed = allowed
            .remove(name)
            .unwrap_or_else(|| panic!("{name} has no place in the layers"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            assert!(
                !used.starts_with("fathom") || allowed.contains(used),
                "{name} must not use {used}"
            );
        }
    }
    assert!(allowed.is_empty(), "no such crates: {allowed:?}");
}
