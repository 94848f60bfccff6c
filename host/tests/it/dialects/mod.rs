//! Vendors' dialects on the bytes of real connections.

/// OpenAI's Responses.
mod responses;
