//! Makes a change of a migration a change of this crate, which embeds them.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
