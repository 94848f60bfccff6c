//! TOML that a person wrote, as a tree that knows the place of every value: manifests are checked as scenarios are.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::types::excerpt::excerpt;
use crate::types::fields::escape;
use crate::types::problem::{Place, Problem};

/// A TOML file as it was read.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its name in messages.
    pub file: String,
    /// Its text.
    pub text: String,
    /// All that it says. Dates are texts.
    pub value: Value,
    places: HashMap<String, usize>,
    keys: HashMap<String, usize>,
}

/// Every mistake of one manifest. Displays as a person reads it in a terminal.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Mistakes {
    /// The file's name as the person gave it.
    pub file: String,
    /// Its text; empty if it could not be read.
    pub text: String,
    /// Every mistake, in the order of the file; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.problems.iter().map(|problem| excerpt(&self.text, problem)).collect();
        f.write_str(&shown.join("\n\n"))
    }
}

impl Mistakes {
    /// The only mistake `problem` of `file`, of which nothing could be read.
    pub fn one(file: &str, problem: Problem) -> Self {
        Self { file: file.to_owned(), text: String::new(), problems: vec![problem] }
    }
}

impl Document {
    /// Reads `text`, which `file` names in messages. Every place where it is no TOML is a mistake.
    pub fn parse(file: &str, text: &str) -> Result<Self, Mistakes> {
        let mut document = Self {
            file: file.to_owned(),
            text: text.to_owned(),
            value: Value::Null,
            places: HashMap::new(),
            keys: HashMap::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let problem = |error: &toml::de::Error| {
                let message = error.message().trim_end_matches('.').replace('\n', ", ");
                let mut problem = Problem::new("", format!("the file is not valid TOML: {message}"));
                problem.place = error.span().map(|span| document.place_at(span.start));
                problem
            };
            let problems = errors.iter().map(problem).collect();
            return Err(Mistakes { file: file.to_owned(), text: text.to_owned(), problems });
        }
        document.places.insert(String::new(), 0);
        document.value = document.table(table.get_ref(), "");
        Ok(document)
    }

    /// `problems` of this document with their places, in its order.
    pub fn mistakes(&self, problems: Vec<Problem>) -> Mistakes {
        let mut problems: Vec<_> = problems.into_iter().map(|problem| self.locate(problem)).collect();
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        problems.dedup();
        Mistakes { file: self.file.clone(), text: self.text.clone(), problems }
    }

    /// `problem` with the place of its pointer, or of the nearest value around it.
    pub fn locate(&self, mut problem: Problem) -> Problem {
        let mut spots = if problem.at_key { &self.keys } else { &self.places };
        let mut pointer = problem.pointer.as_str();
        while problem.place.is_none() {
            if let Some(at) = spots.get(pointer) {
                problem.place = Some(self.place_at(*at));
                break;
            }
            let Some(end) = pointer.rfind('/') else { break };
            pointer = &pointer[..end];
            spots = if self.keys.contains_key(pointer) { &self.keys } else { &self.places };
        }
        problem
    }

    fn place_at(&self, byte: usize) -> Place {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Place { file: self.file.clone(), line: narrow(before.matches('\n').count() + 1), column: narrow(column) }
    }

    fn table(&mut self, table: &DeTable<'_>, pointer: &str) -> Value {
        let mut map = Map::new();
        for (key, value) in table {
            let pointer = format!("{pointer}/{}", escape(key.get_ref()));
            self.keys.insert(pointer.clone(), key.span().start);
            let value = self.value(value, &pointer);
            map.insert(key.get_ref().to_string(), value);
        }
        Value::Object(map)
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, pointer: &str) -> Value {
        self.places.insert(pointer.to_owned(), value.span().start);
        match value.get_ref() {
            DeValue::String(text) => Value::from(&**text),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::from(number),
                Err(_) => Value::from(number.as_str()),
            },
            DeValue::Float(number) => match number.as_str().parse().ok().and_then(Number::from_f64) {
                Some(number) => Value::Number(number),
                None => Value::from(number.as_str()),
            },
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(time) => Value::from(time.to_string()),
            DeValue::Array(items) => {
                let items = items.iter().enumerate();
                Value::Array(items.map(|(index, item)| self.value(item, &format!("{pointer}/{index}"))).collect())
            }
            DeValue::Table(table) => self.table(table, pointer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::fields::Fields;

    const TEXT: &str = "name = \"é\"\n\n[[plugin]]\nfile = 3\nsize = { memroy = 1_000 }\n";

    #[test]
    fn every_mistake_has_its_place() {
        let document = Document::parse("pack.toml", TEXT).expect("TOML");
        assert_eq!(document.value, serde_json::json!({"name": "é", "plugin": [{"file": 3, "size": {"memroy": 1000}}]}));
        let mut fields = Fields::of(&document.value["plugin"][0]["size"], "/plugin/0/size");
        fields.bytes("memory");
        let mut problems = fields.finish();
        problems.push(Problem::new("/plugin/0/file", "expected a text, found a number"));
        problems.push(Problem::new("/licence", "the field `licence` is missing"));
        insta::assert_snapshot!(document.mistakes(problems), @r#"
        pack.toml:1:1: the field `licence` is missing
         1 | name = "é"
           | ^

        pack.toml:4:8: expected a text, found a number
         4 | file = 3
           |        ^

        pack.toml:5:10: unknown field `memroy`
         5 | size = { memroy = 1_000 }
           |          ^
          hint: did you mean `memory`?
        "#);
    }

    #[test]
    fn text_that_is_no_toml_is_refused_with_all_its_places() {
        let mistakes = Document::parse("pack.toml", "a = \nb = [1\nc = 1\n").expect_err("no TOML");
        assert!(
            mistakes.problems.len() > 1 && mistakes.to_string().contains("pack.toml:1:5: the file is not valid TOML"),
            "{mistakes}"
        );
        let twice = Document::parse("pack.toml", "a = 1\na = 2\n").expect_err("no TOML").to_string();
        assert!(twice.contains("pack.toml:2:1") && twice.contains("duplicate key"), "{twice}");
    }
}
