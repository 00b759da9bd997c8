//! What the tests have of PyPI.

/// The lines of a list of requirements, in pip's form, that leave open what is installed: those without one version, or
/// without a hash of it.
#[must_use]
pub fn unpinned(list: &str) -> Vec<String> {
    let whole = list.replace("\\\n", " ");
    let lines = whole.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|line| !(line.contains("==") && line.contains("--hash=sha256:")))
        .map(|line| line.chars().take(100).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_and_its_hash() {
        for (list, expected) in [
            ("# a list\n\na==1 --hash=sha256:00\n", 0),
            (
                "a==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\nb==2 --hash=sha256:02",
                0,
            ),
            ("a==1\n", 1),
            ("a>=1 --hash=sha256:00\n", 1),
            ("a\nb==1 \\\n    --hash=md5:00\n", 2),
            ("--index-url https://elsewhere.example\n", 1),
        ] {
            assert_eq!(unpinned(list).len(), expected, "{list}");
        }
    }
}
