//! One door for all tests: [`host::TestHost`] starts the real server, [`client::Client`] speaks to it byte by byte, [`h2_client`] frame by
//! frame.

pub mod client;
pub mod h2_client;
pub mod host;
pub mod stream;
