//! The other vendors, on the bytes of HTTP/1.1: replies, headers, and paths that several have. How they fail is in `fault_table`.

mod anthropic;
mod gemini;
