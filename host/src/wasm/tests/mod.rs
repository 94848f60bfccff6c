//! The plugin host against good guests and bad ones. The adversary (plugins/test-guests) does what `call.identity` says.
//!
//! [`support`] builds it once and sets scenes; [`conduct`] is about bad calls, [`answers`] about bad values and what guests may
//! see, [`loading`] about files, options and reloads, [`versions`] about other versions of the contract, [`room`] about who holds
//! instances, [`choosers`] about balancers and autoscalers. [`hostile`] is about guests that mean harm, which [`forge`] makes where no
//! compiler would.

mod answers;
mod choosers;
mod conduct;
mod forge;
mod hostile;
mod loading;
mod room;
pub(crate) mod support;
mod versions;
