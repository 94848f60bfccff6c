//! What people write that is more than a word, wherever it stands: laws of chance, and files beside the scenario.
//!
//! [`law`] is the grammar of a law, in the [`unit`] of what it is a law of; `parameters` and `empirical` are what each kind is made of.
//! [`file`] reads what an option names, and nothing outside the scenario's folder. [`toml`] reads manifests and keeps the place of
//! every value.

mod empirical;
pub mod file;
pub mod law;
mod parameters;
pub mod toml;
pub mod unit;
