//! An attack is a file, and stands in the list: one that is in one place only does not build.

use std::collections::BTreeSet;
use std::fs;

fn main() {
    println!("cargo::rerun-if-changed=src/attacks");
    let list = fs::read_to_string("src/attacks/mod.rs").expect("the list is there");
    let listed: BTreeSet<String> =
        list.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).map(str::to_owned).collect();
    let files = fs::read_dir("src/attacks").expect("the folder is there");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a plain name"));
    let present: BTreeSet<String> =
        names.filter(|name| name != "mod.rs").map(|name| name.trim_end_matches(".rs").to_owned()).collect();
    let odd: Vec<&String> = listed.symmetric_difference(&present).collect();
    assert!(odd.is_empty(), "in `src/attacks`, either a file or its line in `mod.rs` is missing: {odd:?}");
}
