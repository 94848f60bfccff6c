//! Vendors' dialects on the bytes of real connections. How they fail is in `fault_table`.

/// Messages, counts and models, of Anthropic.
mod anthropic;
/// Azure's form of OpenAI.
mod azure;
/// Files and batches, of OpenAI, and message batches, of Anthropic.
mod batches;
/// Completions of raw text, of OpenAI.
mod completions;
/// Embeddings, of OpenAI.
mod embeddings;
/// Contents, counts, vectors and models, of Google.
mod gemini;
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
/// Realtime sessions of OpenAI, over WebSockets.
mod realtime;
/// OpenAI's Responses.
mod responses;
