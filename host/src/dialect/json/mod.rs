//! Reading and writing JSON for all dialects: [`given`] reads values that may be of the wrong kind, [`path`] names their places and
//! says what is wrong with them, [`shapes`] are kinds of values that many vendors have, [`schema`] looks at the schemas that clients
//! send, [`splice`] writes answers, [`id`] their ids.

pub(crate) mod given;
pub(crate) mod id;
pub(crate) mod many;
pub(crate) mod path;
pub(crate) mod schema;
pub(crate) mod shapes;
pub(crate) mod splice;
