//! The words of the domain: plain data that every floor above may use. Nothing here does I/O, reads a clock or draws a number.
//!
//! Start with [`request::Request`] and [`reply`]: what came in and what goes out, in no vendor's language.
//! [`problem::Problem`] is a mistake in something a person wrote; [`api_error::ApiError`] is a refusal a client receives;
//! [`mistake`] says what is wrong with a request, [`manners`] what doors make of it; [`criterion`] is the grammar of promises,
//! [`capability`] what a plugin may reach, [`credentials`] what nobody may see.

pub mod allowance;
pub mod api_error;
pub mod capability;
pub mod compact;
pub mod credentials;
pub mod criterion;
pub mod excerpt;
pub mod fields;
pub mod limit;
pub mod limits;
pub mod manners;
pub mod mistake;
pub mod overrides;
pub mod percent;
pub mod printable;
pub mod problem;
pub mod quantity;
pub mod reply;
pub mod request;
pub mod schema;
pub mod usage;
