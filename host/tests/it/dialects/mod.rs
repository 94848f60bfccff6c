//! Vendors' dialects on the bytes of real connections.

/// Azure's form of OpenAI.
mod azure;
/// Routes of a scenario's own.
mod generic;
/// Ollama.
mod ollama;
/// Headers in which a request says how it is answered, in every dialect.
mod overrides;
