//! Vendors' dialects on the bytes of real connections.

/// Completions of raw text, of OpenAI.
mod completions;
/// Embeddings, of OpenAI.
mod embeddings;
/// What a server of models of one's own says beside the API.
mod model_server;
/// Moderations, of OpenAI.
mod moderations;
