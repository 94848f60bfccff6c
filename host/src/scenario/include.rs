//! `include:`, several files that are one scenario.
//!
//! Sections of lists and names grow: `models` of the including file come first, then those of each file that it includes, in order;
//! `incidents`, `plugins` and `stations` are joined by name, and a name twice is a mistake. Of `defaults`, each field counts that the including
//! file says; of every other section, the including file's if it has one. A file that is included twice counts once. Every file is
//! told of before it is read, so that it can be watched even if it is not there yet.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::scenario::environment::Variables;
use crate::scenario::source::{Source, SourceFile, Spot};
use crate::types::fields::{escape, kind_of};
use crate::types::limits::{SCENARIO_BYTES_MAX, SCENARIO_FILES_MAX, SCENARIO_INCLUDES_DEPTH_MAX, SCENARIO_VALUES_MAX};
use crate::types::problem::Problem;

/// Reads the text of a file, of which so many bytes may be read; the problem has no place.
pub(super) type ReadText = fn(&Path, u64) -> Result<String, Problem>;

/// Gathers the files of one scenario.
pub(super) struct Gathering<'a> {
    /// Looks variables up.
    variables: Variables<'a>,
    /// Is told of every included file before it is read.
    on_read: &'a mut dyn FnMut(&Path),
    read_text: ReadText,
    values_left: usize,
    bytes_left: u64,
    files: usize,
    /// The files that are being read, each included by the one before it; and all that were.
    open: Vec<PathBuf>,
    seen: HashSet<PathBuf>,
}

impl<'a> Gathering<'a> {
    /// Nothing gathered yet.
    pub(super) fn new(variables: Variables<'a>, on_read: &'a mut dyn FnMut(&Path), read_text: ReadText) -> Self {
        Self {
            variables,
            on_read,
            read_text,
            values_left: SCENARIO_VALUES_MAX,
            bytes_left: SCENARIO_BYTES_MAX,
            files: 0,
            open: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// The scenario in `text`, which `file` names in messages and in which relative paths start at `folder`, with all that it includes.
    /// The error is that of this text; what is wrong with included files is noted in the source.
    pub(super) fn gather(&mut self, file: &str, text: &str, folder: &Path) -> Result<Source, Problem> {
        // A name in brackets is no file's, so that a text without a file may include the file that it stands for.
        let named = if file.starts_with('(') { Some(file.as_ref()) } else { Path::new(file).file_name() };
        let path = folder.join(named.unwrap_or_default());
        self.open.push(identity_of(&path));
        let source = self.part(file, text, folder);
        self.open.pop();
        source
    }

    fn part(&mut self, file: &str, text: &str, folder: &Path) -> Result<Source, Problem> {
        self.files += 1;
        self.bytes_left = self.bytes_left.saturating_sub(text.len() as u64);
        let mut source = Source::parse_part(file, text, folder, &mut self.values_left)?;
        source.substitute(self.variables);
        let wanted = match &mut source.value {
            Value::Object(map) => map.shift_remove("include"),
            _ => None,
        };
        let included = match wanted {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(path)) => vec![("/include".to_owned(), Value::String(path))],
            Some(Value::Array(items)) => {
                items.into_iter().enumerate().map(|(index, item)| (format!("/include/{index}"), item)).collect()
            }
            Some(other) => vec![("/include".to_owned(), other)],
        };
        for (pointer, wanted) in included {
            match self.include(&pointer, &wanted, folder) {
                Ok(Some(other)) => join(&mut source, other),
                Ok(None) => {}
                Err(problem) => {
                    let problem = source.locate(problem);
                    source.problems.push(problem);
                }
            }
        }
        Ok(source)
    }

    /// The file that `wanted` names; nothing if it has been read already. The problem is about the wish itself, not about that file.
    fn include(&mut self, pointer: &str, wanted: &Value, folder: &Path) -> Result<Option<Source>, Problem> {
        let Some(wanted) = wanted.as_str().filter(|path| !path.is_empty()) else {
            let message =
                format!("expected the path of a file, found {}", if wanted == "" { "an empty text" } else { kind_of(wanted) });
            return Err(Problem::new(pointer, message));
        };
        // Without the `.` in `./incidents.yaml`, which would only clutter messages.
        let path: PathBuf = folder.join(wanted).components().collect();
        let identity = identity_of(&path);
        if self.open.contains(&identity) {
            let message = format!("`{}` includes itself, perhaps by way of others", path.display());
            return Err(Problem::new(pointer, message).hint("let one file include the others"));
        }
        if !self.seen.insert(identity.clone()) {
            return Ok(None);
        }
        if self.open.len() > SCENARIO_INCLUDES_DEPTH_MAX {
            let message = format!("files include each other more than {SCENARIO_INCLUDES_DEPTH_MAX} deep");
            return Err(Problem::new(pointer, message));
        }
        if self.files >= SCENARIO_FILES_MAX {
            return Err(Problem::new(pointer, format!("a scenario may have {SCENARIO_FILES_MAX} files, and this is one more")));
        }
        (self.on_read)(&path);
        let file = path.display().to_string();
        let unreadable = |problem: Problem| match problem.hint {
            Some(_) => problem.under(pointer),
            None => problem.under(pointer).hint("paths start at the folder of the file that includes"),
        };
        let text = (self.read_text)(&path, self.bytes_left).map_err(unreadable)?;
        self.open.push(identity);
        let folder = path.parent().unwrap_or(Path::new(""));
        let source = self.part(&file, &text, folder);
        self.open.pop();
        match source {
            Ok(source) => Ok(Some(source)),
            // Nothing of it can be used, but its text shows what is wrong.
            Err(problem) if problem.place.is_some() => {
                let files = vec![SourceFile { name: file, text, folder: folder.to_owned() }];
                Ok(Some(Source { files, problems: vec![problem], ..Source::default() }))
            }
            Err(problem) => Err(problem.under(pointer)),
        }
    }
}

/// What tells files apart: their real path, or the one written if there is none.
fn identity_of(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Adds `other` to `source`, which includes it.
fn join(source: &mut Source, mut other: Source) {
    let mut moved = Moved { shift: source.files.len() as u16, ..Moved::default() };
    let mut problems = Vec::new();
    match (&mut source.value, std::mem::take(&mut other.value)) {
        (_, Value::Null) => {}
        (ours @ Value::Null, theirs @ Value::Object(_)) => {
            moved.prefixes.insert(String::new());
            *ours = theirs;
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            for (section, value) in theirs {
                problems.extend(join_section(ours, &section, value, &mut moved));
            }
        }
        // The check of the whole will name that the including file is no map.
        (_, Value::Object(_)) => {}
        (_, found) => problems.push(Problem::new("", format!("expected a map of fields, found {}", kind_of(&found)))),
    }
    problems = problems.into_iter().map(|problem| other.locate(problem)).collect();
    source.problems.append(&mut other.problems);
    source.problems.append(&mut problems);
    source.files.append(&mut other.files);
    let renamed =
        |(pointer, (file, line, column)): (String, Spot)| Some((moved.to(&pointer)?, (file + moved.shift, line, column)));
    source.places.extend(other.places.into_iter().filter_map(renamed));
    source.keys.extend(other.keys.into_iter().filter_map(renamed));
    for mut substitution in other.substitutions {
        // What was left out has no place, and no message about it should show it either.
        substitution.pointer = moved.to(&substitution.pointer).unwrap_or_default();
        source.substitutions.push(substitution);
    }
}

/// Adds the section `section` of an included file, as the head of this module says.
fn join_section(ours: &mut Map<String, Value>, section: &str, theirs: Value, moved: &mut Moved) -> Vec<Problem> {
    let pointer = format!("/{}", escape(section));
    let unfit = |theirs: &Value, expected: &str| {
        let message = format!("expected {expected}, found {}", kind_of(theirs));
        vec![Problem::new(pointer.clone(), message)]
    };
    match (section, ours.get_mut(section), theirs) {
        (_, _, Value::Null) | ("name", ..) => {}
        ("simwright", Some(ours), theirs) if *ours != theirs => {
            return vec![Problem::new(pointer, "this file is of another format than the one that includes it")];
        }
        ("simwright", ..) => {}
        (_, None | Some(Value::Null), theirs) => {
            moved.prefixes.insert(pointer);
            ours.insert(section.to_owned(), theirs);
        }
        ("models", Some(Value::Array(models)), Value::Array(mut more)) => {
            moved.models_from = Some(models.len());
            models.append(&mut more);
        }
        ("models", Some(_), theirs) if !theirs.is_array() => return unfit(&theirs, "a list"),
        ("incidents" | "packs" | "plugins" | "stations" | "defaults", Some(Value::Object(map)), Value::Object(more)) => {
            let mut problems = Vec::new();
            for (name, value) in more {
                let pointer = format!("{pointer}/{}", escape(&name));
                if !map.contains_key(&name) {
                    map.insert(name, value);
                    moved.prefixes.insert(pointer);
                } else if section != "defaults" {
                    let problem =
                        Problem::new(pointer, format!("another file of this scenario has `{name}` under `{section}`, too"));
                    problems.push(problem.at_key().hint("give one of the two another name"));
                }
            }
            return problems;
        }
        ("incidents" | "packs" | "plugins" | "stations" | "defaults", Some(_), theirs) if !theirs.is_object() => {
            return unfit(&theirs, "a map");
        }
        (_, Some(_), _) => {}
    }
    Vec::new()
}

/// Where the values of an included file went.
#[derive(Default)]
struct Moved {
    /// Its first file's index among the files of the whole.
    shift: u16,
    /// Where its models begin among those of the whole, if they were added to others.
    models_from: Option<usize>,
    /// Pointers of what was taken as it is: all, sections, or fields of sections.
    prefixes: HashSet<String>,
}

impl Moved {
    /// The pointer in the whole of what was at `pointer`; `None` for what was left out.
    fn to(&self, pointer: &str) -> Option<String> {
        if let (Some(from), Some(rest)) = (self.models_from, pointer.strip_prefix("/models/")) {
            let (index, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            return Some(format!("/models/{}{below}", from + index.parse::<usize>().ok()?));
        }
        // The pointer up to its first step, and up to its second.
        let mut ends = pointer.match_indices('/').map(|(at, _)| at).skip(1).chain([pointer.len()]);
        let taken = self.prefixes.contains("") || ends.by_ref().take(2).any(|end| self.prefixes.contains(&pointer[..end]));
        taken.then(|| pointer.to_owned())
    }
}

#[cfg(test)]
#[path = "include_tests.rs"]
mod tests;
