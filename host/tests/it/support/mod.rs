//! One door for all tests: [`host::TestHost`] starts the real server, [`client::Client`] speaks to it byte by byte.

pub mod client;
pub mod host;
pub mod stream;
