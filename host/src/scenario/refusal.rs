//! A scenario that cannot be used: every mistake, each shown with its line and a mark below the culprit.

use std::fmt;

use crate::scenario::check::in_order;
use crate::scenario::source::{Source, SourceFile};
use crate::scenario::{Draft, Scenario};
use crate::types::excerpt::excerpt;
use crate::types::problem::Problem;

/// Why a scenario was refused. Displays as a person reads it in a terminal.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Refusal {
    /// The scenario file's name as the person gave it.
    pub file: String,
    /// The files that were read, the one that includes the others first; none if that could not be read.
    pub files: Vec<SourceFile>,
    /// Every mistake, in the order of the files; never empty.
    pub problems: Vec<Problem>,
}

impl Refusal {
    /// The mistakes `problems` in `source`; their places are looked up here.
    pub fn of(source: &Source, problems: Vec<Problem>) -> Self {
        Self { file: source.name().to_owned(), files: source.files.clone(), problems: in_order(source, problems) }
    }
}

impl Draft {
    /// The scenario if nothing is wrong with it.
    pub fn whole(self) -> Result<Scenario, Refusal> {
        match self.problems {
            problems if problems.is_empty() => Ok(self.scenario),
            problems => Err(Refusal::of(&self.scenario.source, problems)),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            let of_place = |file: &&SourceFile| problem.place.as_ref().is_some_and(|place| place.file == file.name);
            f.write_str(&excerpt(self.files.iter().find(of_place).map_or("", |file| &file.text), problem))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_with_its_line_and_a_mark() {
        let source = Source::parse("s.yaml", "name: a\nlatncy: slow\n").expect("valid");
        let problem = Problem::new("/latncy", "unknown field `latncy`").at_key().hint("did you mean `latency`?");
        let value = Problem::new("/latncy", "expected a behaviour");
        insta::assert_snapshot!(Refusal::of(&source, vec![problem, value]), @r"
        s.yaml:2:1: unknown field `latncy`
         2 | latncy: slow
           | ^
          hint: did you mean `latency`?

        s.yaml:2:9: expected a behaviour
         2 | latncy: slow
           |         ^
        ");
    }
}
