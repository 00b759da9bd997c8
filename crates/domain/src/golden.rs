//! Events beside the files that fix their shape.

use serde_json::Value;

/// Compares an event with a file of tests/golden; with UPDATE_GOLDEN=1 it writes the file instead.
pub fn compare(name: &str, event: &Value) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let path = std::path::Path::new(folder).join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!("{}\n", serde_json::to_string_pretty(event).unwrap());
        std::fs::write(&path, text).unwrap();
    }
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        *event, golden,
        "{name}: if the change is meant, run the test with UPDATE_GOLDEN=1"
    );
}
