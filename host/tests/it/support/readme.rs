//! Documents as tests read them: their fenced blocks, with the line that each begins on.

use std::path::{Path, PathBuf};

use super::guests::workspace;

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// The word after the fence.
    pub language: String,
    /// What is in it.
    pub text: String,
    /// Line of the fence, from 1.
    pub line: usize,
}

/// The blocks of `markdown`, in order.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (index, line) in markdown.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(language), false) => {
                blocks.push(Block { language: language.to_owned(), text: String::new(), line: index + 1 });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => {
                let block = blocks.last_mut().expect("one is open");
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!open, "a fence is not closed");
    blocks
}

/// Every document of the repository, with its path below it. What documents are made of (`host/assets`) is none yet: tests of new
/// projects read it when it is filled in.
pub fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    gather(workspace(), &mut found);
    found.sort();
    let text = |path: &Path| std::fs::read_to_string(path).expect("a readable file");
    found.into_iter().map(|path| (path.strip_prefix(workspace()).expect("below").to_owned(), text(&path))).collect()
}

fn gather(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).expect("a readable folder").flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if path.is_dir() && !name.starts_with('.') && !matches!(name, "target" | "node_modules" | "assets") {
            gather(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}
