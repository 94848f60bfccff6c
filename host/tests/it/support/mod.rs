//! One door for all tests: [`host::TestHost`] starts the real server, [`client::Client`] speaks to it byte by
//! byte. [`guests`] builds components, [`readme`] reads what the READMEs promise.

pub mod client;
pub mod guests;
pub mod host;
pub mod readme;
pub mod stream;
