//! `plugin.toml`: what a project says of its plugin. Read whole, so that every mistake is told at once, each with its line.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::project::embedded;
use crate::project::lang::Lang;
use crate::scenario::refusal::Refusal;
use crate::scenario::source::SourceFile;
use crate::types::fields::{Fields, escape};
use crate::types::limits::{PLUGIN_PROJECT_NAME_BYTES_MAX, PLUGIN_PROJECT_TOML_BYTES_MAX};
use crate::types::problem::{Place, Problem, did_you_mean};

/// The file's name.
pub const FILE: &str = "plugin.toml";

/// What a plugin may decide, in the order in which they are asked.
pub const KINDS: [&str; 5] = ["fault", "responder", "latency", "balancer", "autoscaler"];

/// Names that cargo refuses for a package, or that a project's own folders have.
const RESERVED: [&str; 24] = [
    "abstract",
    "alloc",
    "async",
    "build",
    "const",
    "core",
    "crate",
    "deps",
    "dyn",
    "else",
    "enum",
    "examples",
    "fn",
    "impl",
    "incremental",
    "match",
    "proc-macro",
    "self",
    "simwright",
    "simwright-sdk",
    "std",
    "super",
    "test",
    "vendor",
];

/// What a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Lower-case words with dashes.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// What it decides: words of [`KINDS`], in their order, at least one.
    pub kinds: Vec<&'static str>,
    /// The contract that it is written against.
    pub interface: String,
    /// One sentence.
    pub summary: String,
    /// SPDX expression; empty if not said.
    pub licence: String,
    /// What it is written in.
    pub lang: Lang,
    /// Memory of one instance in bytes, if it needs other than the default.
    pub memory_bytes: Option<u64>,
    /// CPU time of one call in microseconds, if it needs other than the default.
    pub time_us: Option<u64>,
}

impl Manifest {
    /// The manifest in `text`; `file` is its name in messages. Gives every mistake.
    pub fn parse(file: &str, text: &str) -> Result<Self, Refusal> {
        let refused = |problems: Vec<Problem>| {
            let files = vec![SourceFile { name: file.to_owned(), text: text.to_owned(), folder: PathBuf::new() }];
            Refusal { file: file.to_owned(), files, problems }
        };
        if text.len() as u64 > PLUGIN_PROJECT_TOML_BYTES_MAX {
            let message = format!("it has more than {PLUGIN_PROJECT_TOML_BYTES_MAX} bytes");
            return Err(refused(vec![Problem::new("", message)]));
        }
        let table = DeTable::parse(text).map_err(|error| {
            let problem = Problem::new("", error.message().to_owned());
            let at = error.span().map_or(0, |span| span.start);
            refused(vec![Problem { place: Some(place(file, text, at)), ..problem }])
        })?;
        let mut spots = HashMap::new();
        let value = Value::Object(plain(table.get_ref(), "", &mut spots));
        read(&value).map_err(|problems| {
            let located = |problem: Problem| {
                let spot = spots.get(&problem.pointer).copied().unwrap_or_default();
                let at = if problem.at_key { spot.key } else { spot.value };
                Problem { place: Some(place(file, text, at)), ..problem }
            };
            let mut problems: Vec<Problem> = problems.into_iter().map(located).collect();
            problems.sort_by(|one, other| one.place.cmp(&other.place));
            refused(problems)
        })
    }

    /// The name with underscores: what files and identifiers are called.
    pub fn ident(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// The manifest `text` with another `interface`, if it names one.
pub(super) fn with_interface(text: &str, interface: &str) -> Option<String> {
    let table = DeTable::parse(text).ok()?;
    let (_, value) = table.get_ref().iter().find(|(key, _)| key.get_ref() == "interface")?;
    let span = value.span();
    Some(format!("{}\"{interface}\"{}", &text[..span.start], &text[span.end..]))
}

/// Where a value and its key begin, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Spot {
    key: usize,
    value: usize,
}

/// `table` as JSON, with the spot of every value by its pointer.
fn plain(table: &DeTable<'_>, pointer: &str, spots: &mut HashMap<String, Spot>) -> Map<String, Value> {
    let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let here = format!("{pointer}/{}", escape(key.get_ref()));
        spots.insert(here.clone(), Spot { key: key.span().start, value: value.span().start });
        (key.get_ref().to_string(), plain_value(value.get_ref(), &here, spots))
    };
    table.iter().map(entry).collect()
}

fn plain_value(value: &DeValue<'_>, pointer: &str, spots: &mut HashMap<String, Spot>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => number.to_string().parse::<i64>().map_or(Value::Null, Value::from),
        DeValue::Float(number) => number.to_string().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => {
            let item = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
                let here = format!("{pointer}/{index}");
                spots.insert(here.clone(), Spot { key: item.span().start, value: item.span().start });
                plain_value(item.get_ref(), &here, spots)
            };
            items.iter().enumerate().map(item).collect()
        }
        DeValue::Table(table) => Value::Object(plain(table, pointer, spots)),
    }
}

fn place(file: &str, text: &str, at: usize) -> Place {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) as u32 + 1;
    Place { file: file.to_owned(), line, column }
}

fn read(value: &Value) -> Result<Manifest, Vec<Problem>> {
    let mut fields = Fields::of(value, "");
    for name in ["name", "version", "kinds", "interface", "summary", "lang"] {
        fields.require(name);
    }
    let mut problems = Vec::new();
    let name = fields.text("name").unwrap_or_default().to_owned();
    if !name.is_empty()
        && let Err(problem) = check_name(&name)
    {
        problems.push(problem.under("/name"));
    }
    let version = fields.text("version").unwrap_or_default().to_owned();
    if !version.is_empty() && !is_semantic(&version) {
        let problem = Problem::new("/version", format!("`{version}` is no semantic version"));
        problems.push(problem.hint("write three numbers, such as `0.1.0`"));
    }
    let given = fields.texts("kinds");
    let (kinds, wrong) = read_kinds(&given);
    problems.extend(wrong);
    let interface = fields.text("interface").unwrap_or_default().to_owned();
    if !interface.is_empty() && !interface.starts_with("simwright:plugin@") {
        let problem = Problem::new("/interface", format!("`{interface}` is no version of the plugin contract"));
        problems.push(problem.hint(format!("this release speaks `{}`", embedded::interface())));
    }
    let lang = fields.word("lang", &Lang::WORDS).and_then(Lang::of_word);
    let summary = fields.text("summary").unwrap_or_default().to_owned();
    let licence = fields.text("licence").unwrap_or_default().to_owned();
    let mut limits = Fields::of(fields.value("limits").unwrap_or(&Value::Null), "/limits");
    let (memory_bytes, time_us) = (limits.bytes("memory"), limits.duration_us("time"));
    fields.extend(limits.finish());
    fields.extend(problems);
    let problems = fields.finish();
    match lang {
        Some(lang) if problems.is_empty() => {
            Ok(Manifest { name, version, kinds, interface, summary, licence, lang, memory_bytes, time_us })
        }
        _ => Err(problems),
    }
}

/// The kinds that are meant, `full` for the first three, and what is wrong with the words.
fn read_kinds(given: &[&str]) -> (Vec<&'static str>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut meant = Vec::new();
    for (index, word) in given.iter().enumerate() {
        match *word {
            "full" => meant.extend(&KINDS[..3]),
            word if KINDS.contains(&word) => meant.push(word),
            word => {
                let hint = match did_you_mean(word, KINDS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("any of: {}", KINDS.join(", ")),
                };
                problems.push(Problem::new(format!("/kinds/{index}"), format!("`{word}` is no kind of plugin")).hint(hint));
            }
        }
    }
    if given.is_empty() {
        problems.push(Problem::new("/kinds", "`kinds` is empty").hint(format!("any of: {}", KINDS.join(", "))));
    }
    (KINDS.into_iter().filter(|kind| meant.contains(kind)).collect(), problems)
}

/// Says what is wrong with a plugin's name.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let refused = |message: String, hint: &str| Err(Problem::new("", message).hint(hint));
    if name.len() > PLUGIN_PROJECT_NAME_BYTES_MAX {
        return refused(format!("the name has more than {PLUGIN_PROJECT_NAME_BYTES_MAX} bytes"), "two or three words are enough");
    }
    if !name.split('-').all(word) || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        let near: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let near = near.trim_matches(|c: char| c == '-' || c.is_ascii_digit());
        let words: Vec<&str> = near.split('-').filter(|word| !word.is_empty()).collect();
        let hint =
            if words.is_empty() { "for example `brown-out`".to_owned() } else { format!("for example `{}`", words.join("-")) };
        return refused(format!("`{name}` is not made of lower-case words with dashes between them"), &hint);
    }
    if RESERVED.contains(&name) {
        return refused(format!("the name `{name}` is taken by a tool"), &format!("for example `{name}-plugin`"));
    }
    Ok(())
}

/// Three numbers, and after them what a pre-release may have.
fn is_semantic(version: &str) -> bool {
    let (numbers, rest) = match version.find(['-', '+']) {
        Some(at) => version.split_at(at),
        None => (version, "-0"),
    };
    let number = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
    numbers.split('.').count() == 3 && numbers.split('.').all(number) && rest.len() > 1 && rest.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "brown-out"
version = "0.1.0"
kinds = ["latency", "fault"]
interface = "simwright:plugin@1.0.0"
summary = "Slow."
lang = "python"
[limits]
memory = "64 MiB"
time = "20ms"
"#;

    #[test]
    fn a_manifest_is_read_whole() {
        let manifest = Manifest::parse(FILE, GOOD).expect("a good one");
        assert_eq!((manifest.name.as_str(), manifest.ident().as_str()), ("brown-out", "brown_out"));
        assert_eq!(manifest.kinds, ["fault", "latency"]);
        assert_eq!((manifest.memory_bytes, manifest.time_us), (Some(64 << 20), Some(20_000)));
        assert_eq!((manifest.lang, manifest.licence.as_str()), (Lang::Python, ""));
    }

    #[test]
    fn full_is_the_first_three_kinds() {
        let text = GOOD.replace(r#"["latency", "fault"]"#, r#""full""#);
        assert_eq!(Manifest::parse(FILE, &text).expect("good").kinds, ["fault", "responder", "latency"]);
    }

    #[test]
    fn every_mistake_has_its_line() {
        let text = GOOD
            .replace("brown-out", "Brown Out")
            .replace("0.1.0\"\nk", "1\"\nk")
            .replace("\"fault\"", "\"faults\"")
            .replace("python", "cobol")
            .replace("memory", "memroy");
        let refusal = Manifest::parse(FILE, &text).expect_err("five mistakes");
        let place = |problem: &Problem| problem.place.as_ref().map(|place| (place.line, place.column)).expect("a place");
        let told: Vec<_> = refusal.problems.iter().map(|problem| (place(problem), problem.message.as_str())).collect();
        assert_eq!(
            told,
            [
                ((2, 8), "`Brown Out` is not made of lower-case words with dashes between them"),
                ((3, 11), "`1` is no semantic version"),
                ((4, 21), "`faults` is no kind of plugin"),
                ((7, 8), "`cobol` is no value of `lang`"),
                ((9, 1), "unknown field `memroy`"),
            ]
        );
        assert!(refusal.to_string().contains("hint: did you mean `fault`?"), "{refusal}");
    }

    #[test]
    fn what_is_no_toml_has_its_line_too() {
        let refusal = Manifest::parse(FILE, "name = \nversion = 1").expect_err("no TOML");
        assert!(refusal.to_string().starts_with("plugin.toml:1:"), "{refusal}");
    }

    #[test]
    fn names_that_a_tool_would_refuse_are_refused_with_another() {
        for (name, hint) in [("Fn", "`fn`"), ("fn", "`fn-plugin`"), ("9lives", "`lives`"), ("a_b", "`a-b`"), ("a--b", "`a-b`")] {
            let problem = check_name(name).expect_err(name);
            assert!(problem.hint.expect("a hint").contains(hint), "{name}");
        }
        assert!(check_name("brown-out-2").is_ok());
    }

    #[test]
    fn versions_are_semantic() {
        assert!(["0.1.0", "1.0.0-rc.1", "1.2.3+build"].into_iter().all(is_semantic));
        assert!(!["1", "1.0", "01.0.0", "1.0.0-", "1.0.x", ""].into_iter().any(is_semantic));
    }
}
