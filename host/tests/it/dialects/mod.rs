//! Vendors' dialects on the bytes of real connections.

/// Realtime sessions of OpenAI, over WebSockets.
mod realtime;
