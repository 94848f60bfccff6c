//! The files as written: their values and the place of each.
//!
//! YAML is read into a tree that keeps places, within bounds on size, depth and expanded aliases, and then split into plain values
//! and a table of places by JSON pointer. Whatever is wrong with the text itself is one [`Problem`] with line and column.
//! `environment.rs` then puts variables in, and `include.rs` joins several files to one source.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::options::{AliasLimits, DuplicateKeyPolicy};
use serde_saphyr::{Error, MessageFormatter, NonFiniteFloatPolicy, Options, Spanned, UserMessageFormatter};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::types::fields::escape;
use crate::types::limits::{SCENARIO_BYTES_MAX, SCENARIO_DEPTH_MAX, SCENARIO_VALUES_MAX};
use crate::types::problem::{Place, Problem};

/// Index of the file in [`Source::files`], line and column, these two from 1; columns are counted in characters.
pub type Spot = (u16, u32, u32);

/// A scenario as written, in one file or several.
#[derive(Debug, Default)]
pub struct Source {
    /// The files that it was read from, the one that includes the others first.
    pub files: Vec<SourceFile>,
    /// Their values, joined.
    pub value: Value,
    /// JSON pointer → the place of every value; a value behind an alias lies where the alias is.
    pub places: HashMap<String, Spot>,
    /// JSON pointer → the place of the key, for every field of a map.
    pub keys: HashMap<String, Spot>,
    /// What came from the environment.
    pub substitutions: Vec<Substitution>,
    /// Mistakes that do not keep the rest from being read; each has its place.
    pub problems: Vec<Problem>,
}

/// One file of a scenario.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Its name as the person gave it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Where relative paths in it start.
    pub folder: PathBuf,
}

/// A variable of the environment that stands in a value.
#[derive(Debug, Clone)]
pub struct Substitution {
    /// JSON pointer of the value.
    pub pointer: String,
    /// The variable's name.
    pub name: String,
    /// What the environment says; messages never repeat it.
    pub secret: String,
}

impl Source {
    /// Reads `text`, which `file` names in messages. The error has a place unless the whole file is at fault.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problem> {
        Self::parse_part(file, text, Path::new(""), &mut SCENARIO_VALUES_MAX.clone())
    }

    /// Reads one file of a scenario, in which relative paths start at `folder`. Of the values that a scenario may have, `values_left`
    /// are left.
    pub(super) fn parse_part(file: &str, text: &str, folder: &Path, values_left: &mut usize) -> Result<Self, Problem> {
        let bytes = text.len() as u64;
        if bytes > SCENARIO_BYTES_MAX {
            let message = format!("`{file}` has {bytes} bytes, and a scenario may have {SCENARIO_BYTES_MAX}");
            return Err(Problem::new("", message).hint("list fewer models, or use patterns such as `gpt-*`"));
        }
        let tree = serde_saphyr::from_str_with_options::<Spanned<Tree>>(text, options())
            .map_err(|error| problem_of(&error, file, text))?;
        let file = SourceFile { name: file.to_owned(), text: text.to_owned(), folder: folder.to_owned() };
        let mut source = Self::default();
        match source.absorb(tree, &mut String::new(), values_left) {
            Some(value) => source.value = value,
            None => return Err(too_much(&file.name)),
        }
        source.files.push(file);
        Ok(source)
    }

    /// The main file's name.
    pub fn name(&self) -> &str {
        self.files.first().map_or("", |file| &file.name)
    }

    /// A digest of all its files, and of what the environment put into them.
    pub fn digest(&self) -> u64 {
        let texts = self.files.iter().map(|file| &file.text);
        let said = self.substitutions.iter().map(|substitution| &substitution.secret);
        texts.chain(said).fold(0, |digest, text| xxh3_64_with_seed(text.as_bytes(), digest))
    }

    /// Where relative paths in the value at `pointer` start: the folder of the file that says it.
    pub fn folder_of(&self, pointer: &str) -> &Path {
        let index = self.places.get(pointer).map_or(0, |&(file, ..)| file);
        self.files.get(usize::from(index)).map_or(Path::new(""), |file| &file.folder)
    }

    /// `problem` with the place of its pointer, or of the nearest value around it, and without what the environment says.
    pub fn locate(&self, problem: Problem) -> Problem {
        let mut problem = self.redact(problem);
        if problem.place.is_some() {
            return problem;
        }
        let mut spots = if problem.at_key { &self.keys } else { &self.places };
        let mut pointer = problem.pointer.as_str();
        loop {
            if let Some(&(file, line, column)) = spots.get(pointer) {
                let file = self.files.get(usize::from(file)).map_or(String::new(), |file| file.name.clone());
                problem.place = Some(Place { file, line, column });
                return problem;
            }
            match pointer.rfind('/') {
                Some(end) => pointer = &pointer[..end],
                None => return problem,
            }
            // What has no place of its own is missing there: the name of the field around it says where better than its contents.
            spots = if self.keys.contains_key(pointer) { &self.keys } else { &self.places };
        }
    }

    /// Splits `tree` into its value and places; `None` once more values were met than a scenario may have.
    fn absorb(&mut self, tree: Spanned<Tree>, pointer: &mut String, values_left: &mut usize) -> Option<Value> {
        *values_left = values_left.checked_sub(1)?;
        self.places.insert(pointer.clone(), spot_of(tree.referenced));
        let length = pointer.len();
        Some(match tree.value {
            Tree::Leaf(value) => value,
            Tree::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    pointer.push_str(&format!("/{index}"));
                    values.push(self.absorb(item, pointer, values_left)?);
                    pointer.truncate(length);
                }
                Value::Array(values)
            }
            Tree::Map(fields) => {
                let mut map = Map::new();
                for (key, item) in fields {
                    pointer.push('/');
                    pointer.push_str(&escape(&key.value));
                    self.keys.insert(pointer.clone(), spot_of(key.referenced));
                    let value = self.absorb(item, pointer, values_left)?;
                    map.insert(key.value, value);
                    pointer.truncate(length);
                }
                Value::Object(map)
            }
        })
    }
}

/// The value that YAML gives the text `text` if it stands alone, unless that is a list or a map.
pub(super) fn scalar(text: &str) -> Option<Value> {
    match serde_saphyr::from_str_with_options::<Tree>(text, options()) {
        Ok(Tree::Leaf(value)) => Some(value),
        Ok(Tree::List(_) | Tree::Map(_)) | Err(_) => None,
    }
}

/// A YAML value whose parts know their places.
enum Tree {
    Leaf(Value),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Bool(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::from(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::from(number)))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Tree, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("expected a finite number"))?;
        Ok(Tree::Leaf(Value::Number(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::from(text)))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::String(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut fields: Vec<(Spanned<String>, Spanned<Tree>)> = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
            if fields.len() > SCENARIO_VALUES_MAX {
                return Err(A::Error::custom("too many fields"));
            }
        }
        Ok(Tree::Map(fields))
    }
}

fn options() -> Options {
    let mut aliases = AliasLimits::default();
    aliases.max_total_replayed_events = 2 * SCENARIO_VALUES_MAX;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: SCENARIO_DEPTH_MAX,
            flow_nesting_limit: SCENARIO_DEPTH_MAX,
            max_nodes: SCENARIO_VALUES_MAX,
            max_documents: 2,
            // One anchor that every model uses is good style here; the bound on expanded values stops bombs.
            enforce_alias_anchor_ratio: false,
        },
        emit_comments: false,
        duplicate_keys: DuplicateKeyPolicy::Error,
        alias_limits: aliases,
        // `no` and `on` are words in a reply's text, and `yes` is no seed.
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
    }
}

fn spot_of(location: serde_saphyr::Location) -> Spot {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).max(1);
    (0, narrow(location.line()), narrow(location.column()))
}

fn problem_of(error: &Error, file: &str, text: &str) -> Problem {
    let mut problem = match innermost(error) {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            Problem::new("", format!("the field `{key}` appears twice in one map")).hint("keep one of the two")
        }
        Error::MultipleDocuments { .. } => {
            Problem::new("", "found a second document").hint("a scenario is one document; remove the line `---`")
        }
        Error::UnknownAnchor { .. } => Problem::new("", "this alias has no anchor")
            .hint("define it before its use, as in `&name`, or quote a text that starts with `*`"),
        Error::NonFiniteFloat { value, .. } => Problem::new("", format!("`{value}` is not a finite number")),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => too_much(file),
        Error::RecursiveReferencesRequireWeakTypes { .. } => Problem::new("", "this alias lies within its own anchor"),
        other => {
            let message = UserMessageFormatter.format_message(other);
            let message = message.trim_end_matches('.').replace(char::is_control, " ");
            let problem = Problem::new("", format!("the file is not valid YAML: {message}"));
            if text.lines().any(|line| line.trim_start_matches(' ').starts_with('\t')) {
                problem.hint("indent with spaces, not with tabs")
            } else {
                problem
            }
        }
    };
    problem.place = error.location().filter(|location| location.line() > 0).map(|location| {
        let (_, line, column) = spot_of(location);
        Place { file: file.to_owned(), line, column }
    });
    problem
}

fn innermost(error: &Error) -> &Error {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => innermost(error),
        other => other,
    }
}

fn too_much(file: &str) -> Problem {
    let message = format!("`{file}` has more than {SCENARIO_VALUES_MAX} values or {SCENARIO_DEPTH_MAX} levels, aliases expanded");
    Problem::new("", message).hint("use patterns such as `gpt-*` in place of long lists")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spot(source: &Source, problem: Problem) -> (u32, u32) {
        let place = source.locate(problem).place.expect("a place");
        (place.line, place.column)
    }

    #[test]
    fn every_value_and_key_has_its_place() {
        let source = Source::parse("s.yaml", "name: a\nmodels:\n  - match: ['é', b/c]\n    a/b: 1\n").expect("valid");
        assert_eq!(source.value, serde_json::json!({"name": "a", "models": [{"match": ["é", "b/c"], "a/b": 1}]}));
        assert_eq!(source.places["/name"], (0, 1, 7));
        assert_eq!(source.places["/models/0/match/1"], (0, 3, 18));
        assert_eq!(source.places["/models/0/a~1b"], (0, 4, 10));
        assert_eq!(source.keys["/models/0/a~1b"], (0, 4, 5));
    }

    #[test]
    fn a_mistake_lies_at_its_value_its_key_or_what_is_around_it() {
        let source = Source::parse("s.yaml", "name: a\nlatency:\n  first: 1\n").expect("valid");
        assert_eq!(spot(&source, Problem::new("/latency/first", "m")), (3, 10));
        assert_eq!(spot(&source, Problem::new("/latency/first", "m").at_key()), (3, 3));
        assert_eq!(spot(&source, Problem::new("/latency/between/p50", "m")), (2, 1));
        assert_eq!(spot(&source, Problem::new("/nothing", "m")), (1, 1));
    }

    #[test]
    fn an_alias_is_a_place_of_its_own_and_words_stay_words() {
        let source = Source::parse("s.yaml", "a: &x {first: 1}\nb: *x\nc: no\n").expect("valid");
        assert_eq!(source.value["b"]["first"], 1);
        assert_eq!(source.places["/b"], (0, 2, 4));
        assert_eq!(source.value["c"], "no");
    }

    #[test]
    fn mistakes_in_the_text_have_line_and_column() {
        for (text, message, line) in [
            ("a: 1\nb: [1, 2\nc: 3\n", "not valid YAML", 3),
            ("a: 1\nb: 2\na: 3\n", "the field `a` appears twice", 3),
            ("a: *nothing\n", "this alias has no anchor", 1),
            ("a: 1\n---\nb: 2\n", "second document", 3),
            ("a: .nan\n", "not a finite number", 1),
            ("a: &x [*x]\n", "within its own anchor", 1),
            ("a:\n\t- b\n", "not valid YAML: tabs", 2),
            ("a: @b\n", "not valid YAML: unexpected character", 1),
        ] {
            let problem = Source::parse("s.yaml", text).expect_err(text);
            assert!(problem.message.contains(message), "{text:?}: {problem}");
            assert_eq!(problem.place.as_ref().map(|place| place.line), Some(line), "{text:?}: {problem}");
        }
    }

    #[test]
    fn nesting_below_the_bound_fits_a_threads_stack() {
        let levels = SCENARIO_DEPTH_MAX - 2;
        let text = format!("a: {}1{}", "[".repeat(levels), "]".repeat(levels));
        Source::parse("s.yaml", &text).unwrap_or_else(|problem| panic!("{problem}"));
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
        let tall: String = (0..200).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        let wide = format!("a: [{}]", "1, ".repeat(SCENARIO_VALUES_MAX));
        let large = format!("a: {}", "x".repeat(SCENARIO_BYTES_MAX as usize));
        for text in [bomb, deep, tall, wide, large] {
            Source::parse("s.yaml", &text).expect_err("too much");
        }
    }

    proptest! {
        #[test]
        fn spoilt_text_is_refused_or_read_but_never_a_panic(
            cuts in prop::collection::vec((any::<prop::sample::Index>(), "[-\\[\\]{}:,&*!|>'\"%@`#? \n\ta0~é\\\\]{0,4}"), 1..6),
        ) {
            let mut text: Vec<char> = include_str!("../../assets/default.yaml").chars().take(2_500).collect();
            for (index, replacement) in cuts {
                let at = index.index(text.len());
                text.splice(at..(at + 2).min(text.len()), replacement.chars());
            }
            let text: String = text.into_iter().collect();
            if let Err(problem) = Source::parse("s.yaml", &text) {
                prop_assert!(!problem.message.is_empty());
            }
        }
    }
}
