//! What models are called: a name and a tag, `latest` unless it is said.

use std::borrow::Cow;

const LATEST: &str = "latest";

/// The tag of `name`, if it has one.
fn tag(name: &str) -> Option<&str> {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split_once(':').map(|(_, tag)| tag)
}

/// The same model's name with or without the usual tag; `None` if it has another tag.
pub(super) fn other(name: &str) -> Option<Box<str>> {
    match tag(name) {
        None => Some(full(name).into()),
        Some(tag) if tag.eq_ignore_ascii_case(LATEST) => Some(name[..name.len() - LATEST.len() - 1].into()),
        Some(_) => None,
    }
}

/// `name` with its tag, as lists show it.
pub(super) fn full(name: &str) -> Cow<'_, str> {
    if tag(name).is_some() { Cow::Borrowed(name) } else { Cow::Owned(format!("{name}:{LATEST}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_is_the_latest() {
        for (name, expected) in [
            ("llama3.2", Some("llama3.2:latest")),
            ("llama3.2:latest", Some("llama3.2")),
            ("llama3.2:Latest", Some("llama3.2")),
            ("llama3.2:1b", None),
            ("host:5000/library/llama3.2", Some("host:5000/library/llama3.2:latest")),
            ("host:5000/library/llama3.2:latest", Some("host:5000/library/llama3.2")),
            ("", Some(":latest")),
            (":latest", Some("")),
            ("ä:", None),
        ] {
            assert_eq!(other(name).as_deref(), expected, "{name}");
        }
        assert_eq!(full("a"), "a:latest");
        assert_eq!(full("a:1b"), "a:1b");
    }
}
