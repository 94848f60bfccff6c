//! Generated from `wit/`, nothing else. Each behaviour is a part of its own, so that a component exports exactly what it has.
//!
//! `pub_export_macro` puts the description of a part's exports (a custom section) where its export macro is used, in the plugin,
//! and not here: a plugin that names two kinds carries two descriptions, which the component linker joins. [`base`] holds
//! whatever all parts share; the others refer to it, so that there is one `Call` and one `Problem`.

#![allow(missing_docs, unsafe_code, unreachable_pub, unused_qualifications)]

pub mod base {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package simwright:sdk;
            world base { include simwright:plugin/services@1.0.0; import simwright:plugin/types@1.0.0; }",
        world: "base",
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq],
    });
}

pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package simwright:sdk; world lifecycle { export simwright:plugin/lifecycle@1.0.0; }",
        world: "lifecycle",
        with: { "simwright:plugin/types@1.0.0": super::base::simwright::plugin::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
    });
}

pub mod fault {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package simwright:sdk; world fault { export simwright:plugin/fault@1.0.0; }",
        world: "fault",
        with: { "simwright:plugin/types@1.0.0": super::base::simwright::plugin::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_fault",
    });
}

pub mod responder {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package simwright:sdk; world responder { export simwright:plugin/responder@1.0.0; }",
        world: "responder",
        with: { "simwright:plugin/types@1.0.0": super::base::simwright::plugin::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_responder",
    });
}

pub mod latency {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package simwright:sdk; world latency { export simwright:plugin/latency@1.0.0; }",
        world: "latency",
        with: { "simwright:plugin/types@1.0.0": super::base::simwright::plugin::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_latency",
    });
}

pub mod balancer {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package simwright:sdk; world balancer { export simwright:plugin/balancer@1.0.0; }",
        world: "balancer",
        with: { "simwright:plugin/types@1.0.0": super::base::simwright::plugin::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_balancer",
    });
}

pub mod autoscaler {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package simwright:sdk; world autoscaler { export simwright:plugin/autoscaler@1.0.0; }",
        world: "autoscaler",
        with: { "simwright:plugin/types@1.0.0": super::base::simwright::plugin::types },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_autoscaler",
    });
}
