//! Vendors' dialects on the bytes of real connections.

/// Files and batches, of OpenAI, and message batches, of Anthropic.
mod batches;
/// Completions of raw text, of OpenAI.
mod completions;
/// Embeddings, of OpenAI.
mod embeddings;
/// What a server of models of one's own says beside the API.
mod model_server;
/// Moderations, of OpenAI.
mod moderations;
