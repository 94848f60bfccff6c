//! P9, P15 and P16: files that are no plugins, and some that look like one.

use std::sync::OnceLock;

use super::mangler::{cut_short, disordered, patched, turned};
use super::size;
use crate::behavior::catalog::{Catalog, Setting};
use crate::types::limits;
use crate::wasm::contract::CONTRACT;
use crate::wasm::tests::forge::Forged;
use crate::wasm::tests::support::{adversary, call, request};
use crate::wasm::{Cause, Compiler, LoadSpec, Meter, PluginError, PluginHost, PluginHostConfig};

/// A host that keeps nothing of what it compiles.
fn host() -> &'static PluginHost {
    static HOST: OnceLock<PluginHost> = OnceLock::new();
    HOST.get_or_init(|| {
        let config = PluginHostConfig { cache_dir: None, workers: 1, meter: Meter::Cpu, compiler: Compiler::InProcess };
        PluginHost::new(config).expect("a host")
    })
}

fn refused(bytes: &[u8]) -> PluginError {
    host().load(LoadSpec::new("broken", bytes)).err().expect("a refusal")
}

/// Loads `bytes` and asks it once, if it lets itself be loaded. Says whether it did. Whatever happens, nobody panics.
fn tried(bytes: &[u8]) -> bool {
    let Ok(plugin) = host().load(LoadSpec::new("spoilt", bytes)) else { return false };
    let mut catalog = Catalog::default();
    plugin.register(&mut catalog);
    let request = request();
    if let Some(maker) = catalog.fault.get("spoilt")
        && let Ok(fault) = maker.make(&serde_json::json!({}), &Setting::default())
    {
        // Right or wrong, it has an answer.
        drop(fault.decide(&call(0, &request)));
    }
    true
}

// P16: cut anywhere.
#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    for whole in [adversary(), &Forged::default().component()] {
        for part in cut_short(whole) {
            let error = refused(part);
            assert!([Cause::File, Cause::Version].contains(&error.cause), "{} bytes: {error}", part.len());
        }
    }
}

// P16: any bit turned. What still is a plugin is asked, too.
#[test]
fn a_file_with_any_bit_turned_is_refused_or_answers() {
    let forged = Forged::default().component();
    let loaded = turned(&forged, 16, size(300, 10_000)).filter(|(_, spoilt)| tried(spoilt)).count();
    assert!(loaded > 0, "some bits matter to nobody");
    turned(adversary(), 17, size(20, 1_000)).for_each(|(_, spoilt)| {
        tried(&spoilt);
    });
}

// P16: other versions of the contract, and another contract.
#[test]
fn another_version_is_refused_with_the_version_that_was_found_and_the_one_that_is_spoken() {
    let good = Forged::default().component();
    let ours = format!("@{CONTRACT}");
    let changed = |from: &str, to: &str| (patched(&good, from, to), to.to_owned());
    let mut last = ours.clone();
    last.replace_range(ours.len() - 1.., if ours.ends_with('9') { "8" } else { "9" });
    let (major, minor) = (ours.replacen("@1", "@2", 1), ours.replacen("@1.0", "@1.7", 1));
    for (bytes, found) in [&last, &major, &minor].map(|other| changed(&ours, other)) {
        let error = refused(&bytes);
        assert_eq!(error.cause, Cause::Version, "{error}");
        assert!(error.to_string().contains(&found) && error.to_string().contains(&ours), "{error}");
    }
    let (bytes, _) = changed("simwright:plugin", "simwrong:plugin0");
    let error = refused(&bytes);
    assert_eq!(error.cause, Cause::Version, "{error}");
    assert!(
        error.to_string().contains("it exports nothing of `simwright:plugin`") && error.to_string().contains(CONTRACT),
        "{error}"
    );
}

// P16: no bytes, zeros, too many bytes, text, a core module.
#[test]
fn what_is_no_component_is_refused_unread() {
    let too_long = vec![0; limits::COMPONENT_BYTES_MAX as usize + 1];
    for (bytes, words) in [
        (&[][..], "no WebAssembly"),
        (&[0; 4_096], "no WebAssembly"),
        (&too_long, "its file has 64 MiB, more than 64 MiB"),
        (b"simwright: 1\n", "no WebAssembly"),
        (b"\0asm\x01\0\0\0", "core module"),
        (b"\0asm\x0d\0\x02\0", "of a version that is not known"),
        (b"\0asm\x0d\0\x01\0", "exports nothing"),
    ] {
        let error = refused(bytes);
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// A component in text, around it whatever a plugin must export, of the wrong types.
fn text(fields: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {fields})")).unwrap_or_else(|error| panic!("{error}"))
}

// P16: two exports of one name; P9: our own names with other types.
#[test]
fn exports_that_only_have_the_right_names_are_refused() {
    let instance = r#"(component $C (component $D) (instance $i (instantiate $D)) (export "x" (instance $i)))"#;
    let export = |name: &str| format!(r#"(instance (export "simwright:plugin/{name}@{CONTRACT}"))"#);
    let error = refused(&text(&format!("{instance} {} {}", export("lifecycle"), export("fault"))));
    assert_eq!(error.cause, Cause::Version, "{error}");
    assert!(error.to_string().contains(&format!("its exports differ from `simwright:plugin@{CONTRACT}`")), "{error}");
    let twice = patched(
        &text(&format!("{} {}", export("lifecycle"), export("lifecyclf"))),
        &format!("lifecyclf@{CONTRACT}"),
        &format!("lifecycle@{CONTRACT}"),
    );
    let error = refused(&twice);
    assert_eq!(error.cause, Cause::File, "{error}");
}

// P9: every import that no plugin is given, by name and at once.
#[test]
fn imports_that_no_plugin_is_given_are_listed() {
    let lifecycle = format!(r#"(instance (export "simwright:plugin/lifecycle@{CONTRACT}"))"#);
    let fault = format!(r#"(instance (export "simwright:plugin/fault@{CONTRACT}"))"#);
    let import = |name: &str| format!(r#"(import "{name}" (instance (export "run" (func))))"#);
    let forbidden = ["wasi:http/outgoing-handler@0.2.0", "wasi:sockets/tcp@0.3.0", "evil:files/all", "wasi:cli/run@0.2.0"];
    let imports: String = forbidden.iter().map(|name| import(name)).collect();
    let error = refused(&text(&format!("{imports} {lifecycle} {fault}")));
    assert_eq!(error.cause, Cause::Import, "{error}");
    forbidden.iter().for_each(|name| assert!(error.to_string().contains(&format!("`{name}`")), "{name}: {error}"));
    // The right name and a type that it does not have.
    let ours = format!("simwright:plugin/log@{CONTRACT}");
    for function in ["write", "nothing-of-ours"] {
        let import = format!(r#"(import "{ours}" (instance (export "{function}" (func (param "x" u8)))))"#);
        let error = refused(&text(&format!("{import} {lifecycle} {fault}")));
        assert_eq!(error.cause, Cause::Import, "{error}");
        assert!(error.to_string().contains(&ours), "{error}");
    }
}

// P9: of WASI a plugin is given what it imports and nothing else, so one that needs nothing cannot find more at run time.
#[test]
fn a_plugin_is_linked_with_nothing_of_wasi_that_it_does_not_import() {
    let engine = crate::wasm::engine_config::compiling_engine(Meter::Cpu).expect("an engine");
    let component = |bytes: &[u8]| wasmtime::component::Component::new(&engine, bytes).expect("a component");
    let (bare, clock) = (
        Forged::default().component(),
        r#"(import "wasi:clocks/monotonic-clock@0.2.3" (instance (export "now" (func (result u64)))))"#,
    );
    let clock = text(clock);
    // What is linked is seen by what else can be instantiated with it.
    let can_have_a_clock = |linked: &[u8]| {
        let mut linker = wasmtime::component::Linker::new(&engine);
        crate::wasm::wasi::link("bare", &mut linker, &component(linked)).expect("nothing is refused");
        linker.instantiate_pre(&component(&clock)).is_ok()
    };
    assert!(!can_have_a_clock(&bare));
    assert!(can_have_a_clock(&clock), "the test can tell");
}

// P15, P16: sound parts in disorder, doubled exports among them.
#[test]
fn components_of_sound_parts_in_disorder_are_refused_by_name_or_answer() {
    let good = Forged::default().component();
    let (mut loaded, mut refused) = (0, 0);
    for seed in 0..size(300, 10_000) {
        let bytes = disordered(&good, seed);
        match host().load(LoadSpec::new("disordered", &bytes)) {
            Ok(_) => {
                assert!(tried(&bytes));
                loaded += 1;
            }
            Err(error) => {
                assert!([Cause::File, Cause::Version, Cause::Import, Cause::Size].contains(&error.cause), "{seed}: {error}");
                refused += 1;
            }
        }
    }
    assert!(loaded > 0 && refused > 0, "{loaded} loaded, {refused} refused");
}
