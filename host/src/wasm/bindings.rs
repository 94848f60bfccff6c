//! Generated from `wit/`, nothing else. The world exports everything; what a component really exports is found interface by
//! interface, so that one set of types serves every kind of plugin.
//! Imports may refuse: a refusal ends the call and names its cause. `adapter` and `judge` turn these types into the host's own.
#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "package simwright:host; world every-plugin {
        include simwright:plugin/full-plugin@1.0.0;
        export simwright:plugin/balancer@1.0.0;
        export simwright:plugin/autoscaler@1.0.0;
    }",
    world: "every-plugin",
    imports: { default: trappable },
});
