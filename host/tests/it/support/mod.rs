//! One door for all tests: [`host::TestHost`] starts the real server, [`client`] speaks to it byte by byte and [`h2_client`] frame by
//! frame. [`process`] starts it as a person does. [`bystander`] must notice nothing, [`cold`] makes compilers work. [`observed`] says in words what came, as [`speakers`], clients of
//! each vendor, understand it. [`session`] speaks over a WebSocket. [`guests`] builds components, [`conformance`] those in other languages, [`readme`] reads what the
//! READMEs promise, [`transcript`] runs their commands.

pub mod bystander;
pub mod client;
pub mod cold;
pub mod conformance;
pub mod guests;
pub mod h2_client;
pub mod host;
pub mod observed;
pub mod process;
pub mod readme;
pub mod session;
pub mod speakers;
pub mod stream;
pub mod transcript;
