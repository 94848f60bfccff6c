//! Versions of the contract: what the host relies on in wasmtime, and what it says to plugins that are newer than it is.
//!
//! This host speaks the first version, so that no older one exists to be tried. Names are resolved alike in both directions: what a plugin of
//! 1.4.0 finds here is what one of 1.0.0 will find in a host of 1.4.0.

use std::sync::Arc;

use wasmtime::component::{Component, Linker};

use crate::interest::Interest;
use crate::types::capability::{Capabilities, Capability};
use crate::types::limits;
use crate::wasm::contract::CONTRACT;
use crate::wasm::guest::Guest;
use crate::wasm::host_services::{self, Home};
use crate::wasm::instance::Mould;
use crate::wasm::reach::reached;
use crate::wasm::tests::forge::{Forged, Service};
use crate::wasm::tests::support::host;
use crate::wasm::{Cause, Kind, LoadSpec, PluginError};

const ADD: Service = Service {
    interface: "state",
    name: "add",
    types: "",
    ty: r#"(param "key" string) (param "delta" s64) (param "ttl-ms" (option u32)) (result s64)"#,
    core: "(param i32 i32 i64 i32 i32) (result i64)",
};

fn component(forged: &Forged<'_>, version: &str) -> Component {
    let made = host().component("versioned", &forged.component_of(version), &Interest::for_ever());
    made.expect("it compiles").expect("somebody wants it")
}

/// Links a plugin of `version` without a look at versions.
fn link(version: &str) -> Result<Mould, PluginError> {
    let home = Arc::new(Home::apart("versioned"));
    let component = component(&Forged::default(), version);
    Mould::link_any(&component, home, host().threads.timer(), limits::GUEST_MEMORY_BYTES, limits::GUEST_TIME_US)
}

#[test]
fn exports_of_a_compatible_version_are_found_and_called_and_those_of_another_are_not() {
    for version in [CONTRACT, "1.0.7", "1.4.0"] {
        let mould = link(version).unwrap_or_else(|error| panic!("{version}: {error}"));
        assert_eq!(mould.kinds(), [Kind::Fault], "{version}");
        let mut instance = mould.start(0).unwrap_or_else(|error| panic!("{version}: {error}"));
        instance.describe(&mould).unwrap_or_else(|error| panic!("{version}: {error}"));
    }
    for version in ["2.0.0", "0.1.0", "1.4.0-rc.1"] {
        let error = link(version).err().expect("another contract");
        assert_eq!(error.cause, Cause::Version, "{version}: {error}");
    }
}

#[test]
fn imports_of_a_compatible_version_are_given_and_counted_as_reach() {
    let forged = Forged { service: Some(ADD), ..Forged::default() };
    let mut linker: Linker<Guest> = Linker::new(&host().engine);
    host_services::link(&mut linker).expect("linked");
    for (version, is_given) in [(CONTRACT, true), ("1.4.0", true), ("2.0.0", false)] {
        let component = component(&forged, version);
        assert_eq!(linker.instantiate_pre(&component).is_ok(), is_given, "{version}");
        // Whatever version is named: nobody gets what he was not granted by naming another.
        let state = [Capability::State].into_iter().collect::<Capabilities>();
        assert_eq!(reached(&component), state, "{version}");
    }
}

#[test]
fn a_plugin_that_is_newer_than_its_host_is_told_what_it_needs() {
    for version in ["1.0.1", "1.3.0", "2.0.0"] {
        let bytes = Forged::default().component_of(version);
        let error = host().load(LoadSpec::new("newer", &bytes)).err().expect("it is newer");
        assert_eq!(error.cause, Cause::Version, "{error}");
        let said = error.to_string();
        assert!(said.contains(&format!("it needs a release that speaks `simwright:plugin@{version}`")), "{said}");
        assert!(said.contains(&format!("this one speaks `simwright:plugin@{CONTRACT}`")), "{said}");
    }
    let older = host().load(LoadSpec::new("older", &Forged::default().component_of("0.9.0"))).err().expect("another contract");
    assert!(older.to_string().contains("`simwright:plugin/lifecycle@0.9.0`, but this release speaks"), "{older}");
}
