//! Names and titles in packs: words that are the same in a scenario, a file system, a URL and a terminal.
//!
//! A title such as `plugins/brown-out.wasm` is what people call a layer. No file is ever written or read at it, and still only titles are
//! accepted that would be harmless if somebody did: who unpacks a pack by other means should not be surprised.

use crate::types::limits::PACK_NAME_BYTES_MAX;

/// What is wrong with `name` as the name of a pack, a plugin or a scenario, if something is.
pub fn fault_of_name(name: &str) -> Option<String> {
    let first_is_letter = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.len() > PACK_NAME_BYTES_MAX {
        Some(format!("this name has {} bytes, and a name may have {PACK_NAME_BYTES_MAX}", name.len()))
    } else if !first_is_letter || !name.bytes().all(known) || name.ends_with('-') || name.contains("--") {
        Some(format!("`{name}` is no name; write lower-case words with dashes between them, such as `brown-out`"))
    } else {
        None
    }
}

/// What is wrong with `title` as the title of a layer, if something is.
pub fn fault_of_title(title: &str) -> Option<String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    let whole = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.');
    let shown = || title.escape_default().to_string().chars().take(80).collect::<String>();
    if title.len() > PACK_NAME_BYTES_MAX {
        Some(format!("`{}…` has {} bytes, and a title may have {PACK_NAME_BYTES_MAX}", shown(), title.len()))
    } else if !title.bytes().all(known) || !title.split('/').all(whole) {
        Some(format!("`{}` is no title; write letters, digits, `-`, `_` and `.`, such as `plugins/brown-out.wasm`", shown()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_words_with_dashes() {
        for good in ["a", "acme", "brown-out", "k8s-2"] {
            assert_eq!(fault_of_name(good), None, "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "2a", "a b", "a/b", "ä", "a_b", &"a".repeat(PACK_NAME_BYTES_MAX + 1)] {
            assert!(fault_of_name(bad).is_some(), "{bad}");
        }
    }

    /// K4 of the catalogue: what archives and layers were called in attacks that are known.
    #[test]
    fn forty_titles_that_would_be_harmful_paths_are_refused() {
        let long = "a".repeat(5_000);
        let titles = [
            "",
            "/",
            ".",
            "..",
            "../x",
            "../../x",
            "a/../../x",
            "a/..",
            "./a",
            "a/./b",
            "/etc/passwd",
            "//a",
            "a//b",
            "a/",
            "~/.ssh/id",
            "C:\\x",
            "C:/x",
            "\\\\server\\share",
            "a\\b",
            "..\\x",
            "a\0b",
            "a\nb",
            "a\rb",
            "a\tb",
            "a b",
            " a",
            "a ",
            ".git/config",
            "a/.ssh/x",
            "CON.",
            "a.",
            "a/b.",
            "a:b",
            "a%2e%2e",
            "a/%2e%2e/x",
            "é.wasm",
            "e\u{301}.wasm",
            "\u{202e}msaw",
            "$(x)",
            &long,
        ];
        assert_eq!(titles.len(), 40);
        for title in titles {
            assert!(fault_of_title(title).is_some(), "{title:?}");
        }
        for good in ["plugins/brown-out.wasm", "README.md", "tests/a_b.yaml"] {
            assert_eq!(fault_of_title(good), None, "{good}");
        }
    }
}
