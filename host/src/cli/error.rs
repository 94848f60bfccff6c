//! Kinds of failure and their exit codes. A failure's text is whole: what, where, what to try.

use std::fmt;
use std::process::ExitCode;

use crate::app::StartError;
use crate::app::explain::ExplainError;
use crate::app::replay::ReplayError;
use crate::app::trial::TrialError;
use crate::scenario::refusal::Refusal;

/// What kind of thing went wrong; scripts tell kinds apart by the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing went wrong, but there is nothing left to do.
    None,
    /// Something that has no kind of its own.
    Other,
    /// Wrong arguments.
    Usage,
    /// Mistakes in a scenario or a plugin.
    Scenario,
    /// A run broke criteria of its scenario.
    Criteria,
}

impl Kind {
    pub(super) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::None => 0,
            Self::Other => 1,
            Self::Usage => 2,
            Self::Scenario => 3,
            Self::Criteria => 4,
        })
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    text: String,
}

impl Failure {
    pub(super) fn usage(error: &dyn fmt::Display) -> Self {
        Self { kind: Kind::Usage, text: error.to_string().trim_end().to_owned() }
    }

    /// A failure of `kind` that `text` tells.
    pub(super) fn new(kind: Kind, text: String) -> Self {
        Self { kind, text }
    }

    /// A failure that has already been told.
    pub(super) fn told(kind: Kind) -> Self {
        Self { kind, text: String::new() }
    }

    pub(super) fn nothing() -> Self {
        Self::told(Kind::None)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&Refusal> for Failure {
    fn from(refusal: &Refusal) -> Self {
        let count = match refusal.problems.len() {
            1 => "1 mistake".to_owned(),
            many => format!("{many} mistakes"),
        };
        Self { kind: Kind::Scenario, text: format!("{refusal}\n\nerror: {count} in `{}`", refusal.file) }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Scenario(refusal) => (&refusal).into(),
            other => anyhow::Error::from(other).into(),
        }
    }
}

impl From<ExplainError> for Failure {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Start(error) => error.into(),
            other => anyhow::Error::from(other).into(),
        }
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Start(error) => error.into(),
            other => anyhow::Error::from(other).into(),
        }
    }
}

impl From<TrialError> for Failure {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::Vectors(refusal) => (&refusal).into(),
            TrialError::Start(error) => error.into(),
            TrialError::Refused(error) => Self { kind: Kind::Scenario, text: format!("error: {error}") },
            TrialError::Unfound(what) => Self { kind: Kind::Scenario, text: format!("error: {what}") },
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref::<Refusal>() {
            Some(refusal) => refusal.into(),
            None => Self { kind: Kind::Other, text: format!("error: {error:#}") },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::problem::Problem;

    #[test]
    fn a_refused_scenario_keeps_its_kind_through_anyhow() {
        let refusal = Refusal { file: "s.yaml".to_owned(), files: Vec::new(), problems: vec![Problem::new("", "it is bad")] };
        let failure = Failure::from(anyhow::Error::from(refusal));
        assert_eq!(failure.kind, Kind::Scenario);
        assert_eq!(failure.to_string(), "it is bad\n\nerror: 1 mistake in `s.yaml`");
    }

    #[test]
    fn a_plugin_that_cannot_be_used_is_told_apart_from_one_that_fails_its_cases() {
        assert_eq!(Failure::from(TrialError::Unfound("it does not build".to_owned())).kind.exit_code(), ExitCode::from(3));
    }

    #[test]
    fn other_failures_show_their_whole_chain() {
        let failure = Failure::from(anyhow::anyhow!("the port is taken").context("cannot listen on `127.0.0.1:80`"));
        assert_eq!(failure.to_string(), "error: cannot listen on `127.0.0.1:80`: the port is taken");
        assert_eq!(failure.kind, Kind::Other);
    }
}
