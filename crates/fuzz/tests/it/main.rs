//! What fuzzers have found holds now, and on a stable compiler.

use std::fs;
use std::path::Path;

use fathom_fuzz::TARGETS;

/// EDGE-13, without the search for more: `make fuzz` searches.
#[test]
fn every_target_keeps_its_promise_on_the_whole_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, run) in TARGETS {
        let mut files = 0;
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            // A test that fails shows its output, the last line of which names the file.
            println!("{}", path.display());
            run(&bytes);
            // What a file does must not hang on a byte more or less.
            for end in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
                run(&bytes[..end]);
            }
            files += 1;
        }
        assert!(files >= 10, "{name} has {files} files");
    }
}

#[test]
fn every_target_has_a_fuzzer_and_every_folder_a_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let names = |folder: &str| {
        let entries = fs::read_dir(fuzz.join(folder)).unwrap();
        let names = entries.map(|entry| {
            let path = entry.unwrap().path();
            path.file_stem().unwrap().to_str().unwrap().to_owned()
        });
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    };
    let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
}
