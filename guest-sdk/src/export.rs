//! Makes a component of a type: `export!(MyPlugin: fault, latency)` exports the lifecycle and exactly the kinds that it names.
//!
//! The macro expands in the plugin's crate, because that is where the component's description has to be: one custom section for
//! the lifecycle and one a kind, joined by the component linker. On other machines than WebAssembly nothing is exported; the
//! macro then only checks that the type has the behaviours that it names.

use std::cell::OnceCell;
use std::thread::LocalKey;

use crate::options;
use crate::plugin::{About, Plugin, Problem, Setting};

#[doc(hidden)]
pub use crate::bindings::{
    autoscaler::exports::simwright::plugin::autoscaler::Guest as AutoscalerGuest,
    balancer::exports::simwright::plugin::balancer::Guest as BalancerGuest,
    fault::exports::simwright::plugin::fault::Guest as FaultGuest,
    latency::exports::simwright::plugin::latency::Guest as LatencyGuest,
    lifecycle::exports::simwright::plugin::lifecycle::Guest as LifecycleGuest,
    responder::exports::simwright::plugin::responder::Guest as ResponderGuest,
};

/// Where a component keeps its plugin. A thread-local asks neither `Send` nor `Sync` of it; a component has one thread.
#[doc(hidden)]
pub type Slot<T> = LocalKey<OnceCell<T>>;

#[doc(hidden)]
pub fn about<T: Plugin>(name: &str, version: &str, summary: &str) -> About {
    About {
        name: name.to_owned(),
        version: version.to_owned(),
        summary: summary.to_owned(),
        options_schema: options::schema_of::<T::Options>(),
    }
}

#[doc(hidden)]
pub fn configure<T: Plugin>(slot: &'static Slot<T>, options_json: &str, setting: &Setting) -> Result<(), Vec<Problem>> {
    let plugin = T::configure(options::parse(options_json)?, setting)?;
    let again = || vec![Problem::at("", "this instance is already configured").hint("make a new instance for new options")];
    slot.with(|slot| slot.set(plugin).map_err(|_| again()))
}

/// Calls a behaviour. A call before `configure` breaks the contract, and there is nothing sensible to answer it with.
#[doc(hidden)]
#[inline]
pub fn with<T, R>(slot: &'static Slot<T>, call: impl FnOnce(&T) -> R) -> R {
    slot.with(|slot| call(slot.get().expect("the host configures an instance before it calls it")))
}

/// Exports a type as a component with the kinds that it names: any of `fault`, `responder`, `latency`,
/// `balancer` and `autoscaler`.
///
/// Name, version and summary come from the crate's `Cargo.toml` (`description` is the summary).
///
/// ```
/// use simwright_sdk::prelude::*;
///
/// options! { pub struct Teapot {} }
///
/// impl Fault for Teapot {
///     fn decide(&self, _call: &Call) -> Verdict {
///         Verdict::http(418)
///     }
/// }
///
/// export!(Teapot: fault);
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty : $($kind:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            struct Component;

            ::std::thread_local! {
                static PLUGIN: ::core::cell::OnceCell<$plugin> = const { ::core::cell::OnceCell::new() };
            }

            impl $crate::export::LifecycleGuest for Component {
                fn describe() -> $crate::plugin::About {
                    $crate::export::about::<$plugin>(
                        ::core::env!("CARGO_PKG_NAME"),
                        ::core::env!("CARGO_PKG_VERSION"),
                        ::core::env!("CARGO_PKG_DESCRIPTION"),
                    )
                }

                fn configure(
                    options_json: ::std::string::String,
                    setting: $crate::plugin::Setting,
                ) -> ::core::result::Result<(), ::std::vec::Vec<$crate::plugin::Problem>> {
                    $crate::export::configure(&PLUGIN, &options_json, &setting)
                }
            }

            $crate::bindings::lifecycle::export_lifecycle!(Component with_types_in $crate::bindings::lifecycle);
            $( $crate::__export_kind!($kind, Component); )+
        };

        $( $crate::__check_kind!($kind, $plugin); )+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_kind {
    (fault, $component:ident) => {
        impl $crate::export::FaultGuest for $component {
            fn decide(call: $crate::call::Call) -> $crate::fault::Verdict {
                $crate::export::with(&PLUGIN, |plugin| $crate::fault::Fault::decide(plugin, &call))
            }
        }
        $crate::bindings::fault::export_fault!($component with_types_in $crate::bindings::fault);
    };
    (responder, $component:ident) => {
        impl $crate::export::ResponderGuest for $component {
            fn respond(call: $crate::call::Call, choices: u32) -> ::std::vec::Vec<$crate::responder::Answer> {
                $crate::export::with(&PLUGIN, |plugin| $crate::responder::Responder::answers(plugin, &call, choices))
            }
        }
        $crate::bindings::responder::export_responder!($component with_types_in $crate::bindings::responder);
    };
    (latency, $component:ident) => {
        impl $crate::export::LatencyGuest for $component {
            fn plan(call: $crate::call::Call, output_tokens: u32) -> $crate::latency::Schedule {
                $crate::export::with(&PLUGIN, |plugin| $crate::latency::Latency::plan(plugin, &call, output_tokens))
            }
        }
        $crate::bindings::latency::export_latency!($component with_types_in $crate::bindings::latency);
    };
    (balancer, $component:ident) => {
        impl $crate::export::BalancerGuest for $component {
            fn pick(ask: $crate::balancer::Ask, backends: ::std::vec::Vec<$crate::balancer::Backend>) -> $crate::balancer::Choice {
                $crate::export::with(&PLUGIN, |plugin| $crate::balancer::Balancer::pick(plugin, &ask, &backends))
            }
        }
        $crate::bindings::balancer::export_balancer!($component with_types_in $crate::bindings::balancer);
    };
    (autoscaler, $component:ident) => {
        impl $crate::export::AutoscalerGuest for $component {
            fn decide(group: $crate::autoscaler::Group) -> $crate::autoscaler::Decision {
                $crate::export::with(&PLUGIN, |plugin| $crate::autoscaler::Autoscaler::decide(plugin, &group))
            }
        }
        $crate::bindings::autoscaler::export_autoscaler!($component with_types_in $crate::bindings::autoscaler);
    };
    // `__check_kind` has the words for it.
    ($other:ident, $component:ident) => {};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __check_kind {
    (fault, $plugin:ty) => {
        const _: () = $crate::export::is_fault::<$plugin>();
    };
    (responder, $plugin:ty) => {
        const _: () = $crate::export::is_responder::<$plugin>();
    };
    (latency, $plugin:ty) => {
        const _: () = $crate::export::is_latency::<$plugin>();
    };
    (balancer, $plugin:ty) => {
        const _: () = $crate::export::is_balancer::<$plugin>();
    };
    (autoscaler, $plugin:ty) => {
        const _: () = $crate::export::is_autoscaler::<$plugin>();
    };
    ($other:ident, $plugin:ty) => {
        ::core::compile_error!(::core::concat!(
            "unknown kind `",
            ::core::stringify!($other),
            "`; use fault, responder, latency, balancer or autoscaler"
        ));
    };
}

#[doc(hidden)]
pub const fn is_fault<T: crate::fault::Fault>() {}
#[doc(hidden)]
pub const fn is_responder<T: crate::responder::Responder>() {}
#[doc(hidden)]
pub const fn is_latency<T: crate::latency::Latency>() {}
#[doc(hidden)]
pub const fn is_balancer<T: crate::balancer::Balancer>() {}
#[doc(hidden)]
pub const fn is_autoscaler<T: crate::autoscaler::Autoscaler>() {}
