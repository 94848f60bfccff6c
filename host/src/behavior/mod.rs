//! The contracts that native behaviours and plugins both fulfil. Behaviours decide, machines act: nothing here waits, sends or opens.
//!
//! A request asks at most one [`fault::Fault`] after the other, one [`responder::Responder`] and one [`latency::Latency`], in that
//! order, each at most once. They see the request as a [`call::Call`]. [`catalog::Catalog`] is the only list of what exists.
//! [`writer`] and [`tokenizer`] are the parts that turn "37 tokens of prose" into text: native only, named by responders.

pub mod call;
pub mod catalog;
pub mod fault;
pub mod latency;
pub mod position;
pub mod responder;
pub mod tokenizer;
pub mod writer;
