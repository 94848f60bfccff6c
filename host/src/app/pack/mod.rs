//! Packs at work. [`make`] makes one of a recipe, [`examine`] tries one out, [`install`] brings packs into the store and keeps locks,
//! [`remote`] visits registries, [`resolve`] turns the packs of a scenario into plugins to load, [`find`] reads what a person means by a
//! pack, [`mod@scenario`] gives one of its scenarios away.

use std::fmt;

use crate::app::StartError;
use crate::grammar::toml::Mistakes;
use crate::pack::registry::error::RegistryError;
use crate::pack::store::StoreError;
use crate::pack::whole::PackError;
use crate::scenario::refusal::Refusal;
use crate::types::printable::printable_lines;

pub mod examine;
pub mod find;
pub mod init;
pub mod install;
pub mod make;
pub mod remote;
pub mod resolve;
pub mod scenario;

/// Why something was not done with a pack.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It has mistakes, all of them here.
    #[error("{0}")]
    Flawed(Flaws),
    /// It cannot be used, or not so.
    #[error("{0}")]
    Refused(String),
    /// It or the store cannot be read or written.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A registry did not do what it was asked, or was not believed.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// The plugin host cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Pack(error.into())
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::Flawed(Flaws::from(mistakes))
    }
}

/// Everything that is wrong with a pack, each as a person reads it.
#[derive(Debug, Default)]
pub struct Flaws(Vec<String>);

impl Flaws {
    /// Nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many things are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// One more.
    pub fn add(&mut self, flaw: impl fmt::Display) {
        // It may repeat what strangers wrote.
        self.0.push(printable_lines(&flaw.to_string()).into_owned());
    }

    /// `done` if nothing is wrong.
    pub fn or<T>(self, done: T) -> Result<T, Failure> {
        if self.is_empty() { Ok(done) } else { Err(Failure::Flawed(self)) }
    }
}

impl fmt::Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n\n"))
    }
}

impl From<Mistakes> for Flaws {
    fn from(mistakes: Mistakes) -> Self {
        let one = |problem| Mistakes { problems: vec![problem], ..mistakes.clone() }.to_string();
        Self(mistakes.problems.iter().cloned().map(one).collect())
    }
}

impl From<Refusal> for Flaws {
    fn from(refusal: Refusal) -> Self {
        let one = |problem| Refusal { problems: vec![problem], ..refusal.clone() }.to_string();
        Self(refusal.problems.iter().cloned().map(one).collect())
    }
}
