//! Vendors' dialects on the bytes of real connections.

/// Azure's form of OpenAI.
mod azure;
/// Completions of raw text, of OpenAI.
mod completions;
/// Embeddings, of OpenAI.
mod embeddings;
/// Routes of a scenario's own.
mod generic;
/// What a server of models of one's own says beside the API.
mod model_server;
/// Moderations, of OpenAI.
mod moderations;
/// Ollama.
mod ollama;
/// Headers in which a request says how it is answered, in every dialect.
mod overrides;
