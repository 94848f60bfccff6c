//! The way in: a file, a text or the built-in scenario becomes a [`Draft`], or a [`Refusal`] if it cannot be read at all. All three
//! take the same path, so that what `check` accepts is what `serve` and a reload accept.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::scenario::Draft;
use crate::scenario::check::check;
use crate::scenario::refusal::Refusal;
use crate::scenario::source::Source;
use crate::types::limits::SCENARIO_BYTES_MAX;
use crate::types::problem::{Place, Problem};

/// The scenario that is used when none is given, as text.
pub const DEFAULT: &str = include_str!("../../assets/default.yaml");

/// The name of the built-in scenario in messages.
pub const DEFAULT_FILE: &str = "(built-in)/default.yaml";

/// Reads and checks the scenario in the file `path`.
pub fn read(path: &Path) -> Result<Draft, Refusal> {
    let file = path.display().to_string();
    let text = text_of(path).map_err(|problem| Refusal { file: file.clone(), text: String::new(), problems: vec![problem] })?;
    parse(&file, &text, path.parent().unwrap_or(Path::new("")))
}

/// Checks the scenario in `text`, which `file` names in messages; relative paths in it start at `folder`.
pub fn parse(file: &str, text: &str, folder: &Path) -> Result<Draft, Refusal> {
    let refuse = |problem| Refusal { file: file.to_owned(), text: text.to_owned(), problems: vec![problem] };
    let source = Arc::new(Source::parse(file, text).map_err(refuse)?);
    Ok(check(&source, folder))
}

/// The scenario that is used when none is given.
pub fn built_in() -> Result<Draft, Refusal> {
    parse(DEFAULT_FILE, DEFAULT, Path::new(""))
}

fn text_of(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::new("", format!("there is no file `{shown}`")).hint("check the path"),
        _ => Problem::new("", format!("`{shown}` cannot be read: {error}")),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to know; a file that grows while it is read is bounded too.
    File::open(path).and_then(|file| file.take(SCENARIO_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > SCENARIO_BYTES_MAX {
        let message = format!("`{shown}` has more than {SCENARIO_BYTES_MAX} bytes, and a scenario may have no more");
        let problem = Problem::new("", message).hint("list fewer models, or use patterns such as `gpt-*`");
        return Err(placed(problem, path, ""));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..at]);
        let problem = Problem::new("", format!("`{shown}` is not UTF-8 text: byte {at} belongs to no character"));
        placed(problem.hint("save it as UTF-8"), path, &before)
    })
}

/// `problem` with its place in the file `path`: behind the text `before`.
fn placed(mut problem: Problem, path: &Path, before: &str) -> Problem {
    let (line, last) = (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or(""));
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (line, column) = (narrow(line), narrow(last.chars().count() + 1));
    problem.place = Some(Place { file: path.display().to_string(), line, column });
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scenario_has_no_mistakes() {
        let scenario = built_in().and_then(Draft::whole).unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!(scenario.name, "default");
        for (index, model) in scenario.models.iter().enumerate() {
            for name in &model.list {
                assert_eq!(scenario.find(name), Some(index), "{name}");
            }
        }
        for unknown in ["", "gpt5", "my-model", "no-such-model"] {
            assert_eq!(scenario.find(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_example_is_free_of_mistakes() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let mut found = 0;
        for entry in std::fs::read_dir(examples).expect("the folder of examples") {
            let path = entry.expect("an entry").path().join("scenario.yaml");
            if path.is_file() {
                read(&path).and_then(Draft::whole).unwrap_or_else(|refusal| panic!("{refusal}"));
                found += 1;
            }
        }
        assert!(found >= 2);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_the_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.yaml");
        assert!(read(&path).unwrap_err().to_string().contains("there is no file"));
        assert!(read(folder.path()).unwrap_err().to_string().contains("cannot be read"));
        std::fs::write(&path, b"name: \xff\n").expect("written");
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("s.yaml:1:7: ") && error.contains("not UTF-8 text: byte 6"), "{error}");
        std::fs::write(&path, vec![b'#'; SCENARIO_BYTES_MAX as usize + 1]).expect("written");
        assert!(read(&path).unwrap_err().to_string().contains("bytes"));
    }
}
