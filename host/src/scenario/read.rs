//! The way in: a file, a text or the built-in scenario becomes a [`Draft`], or a [`Refusal`] if it cannot be read at all. All three
//! take the same path (gather the files, put variables in, check), so that what `check` accepts is what `serve` and a reload accept.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::scenario::Draft;
use crate::scenario::check::check;
use crate::scenario::environment::{Variables, of_process};
use crate::scenario::include::Gathering;
use crate::scenario::refusal::Refusal;
use crate::scenario::source::SourceFile;
use crate::types::limits::SCENARIO_BYTES_MAX;
use crate::types::problem::{Place, Problem};

/// The scenario that is used when none is given, as text.
pub const DEFAULT: &str = include_str!("../../assets/default.yaml");

/// The name of the built-in scenario in messages.
pub const DEFAULT_FILE: &str = "(built-in)/default.yaml";

/// Reads and checks the scenario in the file `path`, with all that it includes.
pub fn read(path: &Path) -> Result<Draft, Refusal> {
    read_telling(path, &mut |_| {})
}

/// The same; `on_read` is told of every included file before it is read, so that it can be watched, even one that is not there yet.
pub fn read_telling(path: &Path, on_read: &mut dyn FnMut(&Path)) -> Result<Draft, Refusal> {
    let file = path.display().to_string();
    let text = text_of(path, SCENARIO_BYTES_MAX).map_err(|problem| {
        let problem = if problem.hint.is_some() { problem } else { problem.hint("check the path") };
        Refusal { file: file.clone(), files: Vec::new(), problems: vec![problem] }
    })?;
    draft(&file, &text, path.parent().unwrap_or(Path::new("")), &of_process, on_read)
}

/// Checks the scenario in `text`, which `file` names in messages; relative paths in it start at `folder`.
pub fn parse(file: &str, text: &str, folder: &Path) -> Result<Draft, Refusal> {
    draft(file, text, folder, &of_process, &mut |_| {})
}

/// The same; `on_read` is told of every included file before it is read.
pub fn parse_telling(file: &str, text: &str, folder: &Path, on_read: &mut dyn FnMut(&Path)) -> Result<Draft, Refusal> {
    draft(file, text, folder, &of_process, on_read)
}

/// The same with `variables` in place of the environment.
#[cfg(test)]
pub(crate) fn parse_with(file: &str, text: &str, folder: &Path, variables: Variables<'_>) -> Result<Draft, Refusal> {
    draft(file, text, folder, variables, &mut |_| {})
}

/// The scenario that is used when none is given.
pub fn built_in() -> Result<Draft, Refusal> {
    parse(DEFAULT_FILE, DEFAULT, Path::new(""))
}

fn draft(
    file: &str,
    text: &str,
    folder: &Path,
    variables: Variables<'_>,
    on_read: &mut dyn FnMut(&Path),
) -> Result<Draft, Refusal> {
    let refuse = |problem| {
        let main = SourceFile { name: file.to_owned(), text: text.to_owned(), folder: folder.to_owned() };
        Refusal { file: file.to_owned(), files: vec![main], problems: vec![problem] }
    };
    let source = Gathering::new(variables, on_read, text_of).gather(file, text, folder).map_err(refuse)?;
    Ok(check(&Arc::new(source)))
}

/// The text of `path`, which may have `bytes_max` bytes. A problem without a hint is one of the path.
fn text_of(path: &Path, bytes_max: u64) -> Result<String, Problem> {
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::new("", format!("there is no file `{shown}`")),
        _ => Problem::new("", format!("`{shown}` cannot be read: {error}")),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to know; a file that grows while it is read is bounded too.
    File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        let message = format!("with `{shown}` the scenario has more than {SCENARIO_BYTES_MAX} bytes, and it may have no more");
        return Err(placed(Problem::new("", message).hint("list fewer models, or use patterns such as `gpt-*`"), path, ""));
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
