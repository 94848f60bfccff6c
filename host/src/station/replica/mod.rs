//! A model server with continuous batching.
