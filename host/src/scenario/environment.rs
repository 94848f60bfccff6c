//! Variables of the environment in a scenario's values: `${NAME}` and `${NAME:-default}`; `$${` stands for `${`.
//!
//! They are put in after YAML was read, into values and never into keys, so that a variable cannot change the shape of the file. A
//! value that is one variable and nothing else has the type that YAML would give it. What the environment says is kept out of
//! messages: they show the variable's name.

use serde_json::Value;

use crate::scenario::source::{Source, Substitution, scalar};
use crate::types::fields::escape;
use crate::types::problem::Problem;

/// Looks variables up by name.
pub type Variables<'a> = &'a dyn Fn(&str) -> Result<String, std::env::VarError>;

/// The environment of this process.
pub fn of_process(name: &str) -> Result<String, std::env::VarError> {
    std::env::var(name)
}

impl Source {
    /// Puts `variables` into every value. Mistakes are noted, with their places.
    pub(super) fn substitute(&mut self, variables: Variables<'_>) {
        let mut value = std::mem::take(&mut self.value);
        let mut found = Found { variables, substitutions: Vec::new(), problems: Vec::new() };
        found.walk(&mut value, &mut String::new());
        self.value = value;
        self.substitutions.extend(found.substitutions);
        let problems: Vec<_> = found.problems.into_iter().map(|problem| self.locate(problem)).collect();
        self.problems.extend(problems);
    }

    /// `problem` with the names of variables in place of what the environment says.
    pub(super) fn redact(&self, mut problem: Problem) -> Problem {
        for substitution in &self.substitutions {
            let own = substitution.pointer == problem.pointer;
            problem.message = redacted(&problem.message, substitution, own);
            problem.hint = problem.hint.map(|hint| redacted(&hint, substitution, own));
        }
        problem
    }
}

/// Short texts come about by chance: elsewhere than at the variable's own place they are left alone.
const TELLING_BYTES: usize = 4;

/// `text`, in which what stands between backticks shows nothing of what the environment says. At the variable's `own` place, a part of
/// it is hidden, too: a message may name the unit of a quantity alone.
fn redacted(text: &str, substitution: &Substitution, own: bool) -> String {
    let Substitution { name, secret, .. } = substitution;
    if secret.is_empty() || !(own || secret.len() >= TELLING_BYTES && text.contains(secret.as_str())) {
        return text.to_owned();
    }
    let shown = format!("${{{name}}}");
    let hide = |(index, part): (usize, &str)| {
        let quoted = index % 2 == 1 && !part.is_empty();
        if quoted && own && secret.contains(part) {
            shown.clone()
        } else if quoted || secret.len() >= TELLING_BYTES {
            part.replace(secret.as_str(), &shown)
        } else {
            part.to_owned()
        }
    };
    text.split('`').enumerate().map(hide).collect::<Vec<_>>().join("`")
}

struct Found<'a> {
    variables: Variables<'a>,
    substitutions: Vec<Substitution>,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn walk(&mut self, value: &mut Value, pointer: &mut String) {
        let length = pointer.len();
        match value {
            Value::String(text) if text.contains("${") => {
                if let Some(put_in) = self.put_in(text, pointer) {
                    *value = put_in;
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    pointer.push_str(&format!("/{index}"));
                    self.walk(item, pointer);
                    pointer.truncate(length);
                }
            }
            Value::Object(map) => {
                for (key, item) in map.iter_mut() {
                    pointer.push('/');
                    pointer.push_str(&escape(key));
                    self.walk(item, pointer);
                    pointer.truncate(length);
                }
            }
            _ => {}
        }
    }

    /// `text` with its variables; `None` if one of them is a mistake.
    fn put_in(&mut self, text: &str, pointer: &str) -> Option<Value> {
        let mut whole = String::new();
        let mut rest = text;
        let mut good = true;
        let mut alone = false;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                whole.push_str(&rest[..at]);
                whole.push('{');
                rest = &rest[at + 2..];
                continue;
            }
            whole.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('}') else {
                let problem = Problem::new(pointer, "this `${` has no end");
                self.problems.push(problem.hint("end it with `}`; `$${` stands for the characters themselves"));
                return None;
            };
            match self.variable(&rest[at + 2..at + end], pointer) {
                Some(said) => whole.push_str(&said),
                None => good = false,
            }
            alone = at == 0 && rest.len() == text.len() && end + 1 == text.len();
            rest = &rest[at + end + 1..];
        }
        whole.push_str(rest);
        let typed = alone.then(|| scalar(&whole)).flatten();
        good.then(|| typed.unwrap_or(Value::String(whole)))
    }

    /// What the variable says that is written as `NAME` or `NAME:-default`.
    fn variable(&mut self, written: &str, pointer: &str) -> Option<String> {
        let (name, default) = match written.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (written, None),
        };
        let mut letters = name.chars();
        let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        if !begins || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            let problem = Problem::new(pointer, format!("`{name}` is no name of a variable"));
            self.problems.push(problem.hint("write `${NAME}` or `${NAME:-default}`; `$${` stands for the characters themselves"));
            return None;
        }
        if default.is_some_and(|default| default.contains("${")) {
            self.problems
                .push(Problem::new(pointer, format!("the default of `{name}` holds another variable, which is not possible")));
            return None;
        }
        match ((self.variables)(name), default) {
            // As in a shell, an empty one counts as none where there is a default.
            (Ok(said), default) if !said.is_empty() || default.is_none() => {
                let (pointer, name) = (pointer.to_owned(), name.to_owned());
                self.substitutions.push(Substitution { pointer, name, secret: said.clone() });
                Some(said)
            }
            (Err(std::env::VarError::NotUnicode(_)), _) => {
                self.problems.push(Problem::new(pointer, format!("the environment variable `{name}` is not text")));
                None
            }
            (_, Some(default)) => Some(default.to_owned()),
            (_, None) => {
                let problem = Problem::new(pointer, format!("the environment variable `{name}` is not set"));
                self.problems.push(problem.hint(format!("set it, or give a default: `${{{name}:-…}}`")));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variables(name: &str) -> Result<String, std::env::VarError> {
        match name {
            "N" => Ok("12".to_owned()),
            "WORD" => Ok("hidden-word".to_owned()),
            "LIST" => Ok("[1, 2]".to_owned()),
            "RATE" => Ok("7sevens".to_owned()),
            "EMPTY" => Ok(String::new()),
            _ => Err(std::env::VarError::NotPresent),
        }
    }

    fn source(text: &str) -> Source {
        let mut source = Source::parse("s.yaml", text).expect("valid");
        source.substitute(&variables);
        source
    }

    #[test]
    fn variables_are_put_into_values_with_the_type_that_yaml_would_give() {
        let text = "a: ${N}\nb: n${N}\nc: [\"${WORD}\", '${NONE:-5%}', '${NONE:-}']\nd: ${LIST}\ne: $${N} $x {}\nf: ${EMPTY:-true}\n${N}: ${NONE:-false}\n";
        let source = source(text);
        assert!(source.problems.is_empty(), "{:?}", source.problems);
        assert_eq!(
            source.value,
            json!({
                "a": 12, "b": "n12", "c": ["hidden-word", "5%", null], "d": "[1, 2]", "e": "${N} $x {}", "f": true, "${N}": false,
            })
        );
    }

    #[test]
    fn mistakes_have_their_places_and_say_what_to_do() {
        let source = source("a: ${NONE}\nb: ['x${N', '${1}', '${N:-${M}}']\n");
        let shown: Vec<String> = source.problems.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 4, "{shown:?}");
        assert!(shown[0].starts_with("s.yaml:1:4: the environment variable `NONE` is not set"), "{}", shown[0]);
        assert!(shown[1].starts_with("s.yaml:2:5: this `${` has no end"), "{}", shown[1]);
        assert!(shown[2].contains("`1` is no name of a variable"), "{}", shown[2]);
        assert!(shown[3].contains("another variable"), "{}", shown[3]);
    }

    #[test]
    fn messages_show_names_of_variables_and_not_what_they_say() {
        let source = source("a: ${WORD}\nb: x\nc: ${RATE}\nd: ${N}\n");
        let message =
            |pointer, message: &str| source.locate(Problem::new(pointer, message).hint("not `hidden-word`")).to_string();
        assert_eq!(message("/a", "`hidden-word` is wrong"), "s.yaml:1:4: `${WORD}` is wrong\n  hint: not `${WORD}`");
        assert!(message("/b", "hidden-word and `my hidden-word`").contains("${WORD} and `my ${WORD}`"));
        assert!(message("/c", "`sevens` is no unit; use `ms`").contains("`${RATE}` is no unit; use `ms`"));
        assert!(
            message("/d", "`12` has no unit; write `12ms`, 12 times").contains("`${N}` has no unit; write `${N}ms`, 12 times")
        );
        assert!(message("/b", "`12` is something else").contains("`12`"));
    }
}
