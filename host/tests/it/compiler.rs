use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use simwright::wasm::{
    Cause, ChildCompiler, CompileLimits, Compiler, LoadSpec, Meter, PluginError, PluginHost, PluginHostConfig,
};
use wasm_encoder::{
    CodeSection, Component, ComponentSectionId, Function, FunctionSection, InstructionSink, Module, ModuleSection, RawSection,
    TypeSection, ValType,
};

use super::support::guests::adversary;
use super::support::host::{TestHost, ask, compiler};

/// A component of `functions` functions that do `steps` things each, none of which is any use: much work for a compiler.
pub fn bomb(functions: u32, steps: u32) -> Vec<u8> {
    const LOCALS: u32 = 50;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I64], [ValType::I64]);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..functions {
        declared.function(0);
        let mut function = Function::new([(LOCALS, ValType::I64)]);
        let mut body: InstructionSink<'_> = function.instructions();
        for step in 0..steps {
            let local = |factor: u32| step.wrapping_mul(factor) % LOCALS;
            body.local_get(local(7)).local_get(local(31)).i64_mul().local_get(local(13)).i64_xor().local_set(local(17));
            if step % 7 == 0 {
                body.local_get(local(3)).i32_wrap_i64().if_(wasm_encoder::BlockType::Empty);
                body.local_get(local(5)).local_set(local(11)).end();
            }
        }
        body.local_get(0).end();
        code.function(&function);
    }
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&code);
    around(&module)
}

/// A component of one module.
fn around(module: &Module) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(module));
    component.finish()
}

/// A component of one function without arguments, in which `write` stands.
fn function(locals: u32, write: impl Fn(&mut InstructionSink<'_>)) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    declared.function(0);
    let mut function = Function::new([(locals, ValType::I64)]);
    write(&mut function.instructions());
    function.instructions().end();
    code.function(&function);
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&code);
    around(&module)
}

/// Small files that are much work: blocks within blocks, locals that all live to the end, types, components within components.
fn bombs() -> [(&'static str, Vec<u8>); 4] {
    let nested = function(0, |body| {
        for _ in 0..15_000 {
            body.block(wasm_encoder::BlockType::Empty);
        }
        for _ in 0..15_000 {
            body.end();
        }
    });
    let locals = 49_999;
    let crowded = function(locals, |body| {
        for local in 0..locals {
            body.local_get((local * 7) % locals).i64_const(1).i64_add().local_set(local);
        }
        for local in 0..locals {
            body.local_get(local).local_get(0).i64_xor().local_set(0);
        }
    });
    let mut types = TypeSection::new();
    (0..1_000_000).for_each(|_| types.ty().function([ValType::I64; 2], [ValType::I64]));
    let mut typed = Module::new();
    typed.section(&types);
    let mut deep = Component::new().finish();
    for _ in 0..5_000 {
        let mut component = Component::new();
        component.section(&RawSection { id: ComponentSectionId::Component as u8, data: &deep });
        deep = component.finish();
    }
    [("nested", nested), ("crowded", crowded), ("typed", around(&typed)), ("deep", deep)]
}

/// The program as compiler, with `limits`.
fn limited(limits: CompileLimits) -> Compiler {
    let Compiler::Child(child) = compiler() else { panic!("a child compiles in a person's server") };
    Compiler::Child(ChildCompiler { limits, ..child })
}

/// A shell in the place of the compiler.
fn shell(script: &str, limits: CompileLimits) -> Compiler {
    Compiler::Child(ChildCompiler { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()], limits })
}

fn host(compiler: Compiler, cache: &Path) -> PluginHost {
    PluginHost::new(PluginHostConfig { cache_dir: Some(cache.to_owned()), workers: 1, meter: Meter::Cpu, compiler })
        .expect("a host")
}

/// What `compiler` says to `bytes`; whatever it is, nothing of it may be kept.
fn refused(compiler: Compiler, bytes: &[u8]) -> PluginError {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let error = host(compiler, &cache).load(LoadSpec::new("bomb", bytes)).err().expect("a refusal");
    // What compiles and is no plugin may stay; it would be found again.
    assert!(error.cause == Cause::Version || kept(&cache) == ["key"], "{error}");
    error
}

/// The names in a cache.
fn kept(cache: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(cache).expect("a folder").flatten();
    entries.map(|entry| entry.file_name().into_string().expect("a name")).collect()
}

#[test]
fn a_component_compiled_by_a_child_runs_and_is_compiled_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let bytes = std::fs::read(adversary()).expect("a component");
    let plugin = host(compiler(), &cache).load(LoadSpec::new("first", &bytes)).expect("a good plugin");
    assert_eq!((plugin.about().name.as_str(), plugin.kinds().len()), ("adversary", 3), "the guest itself says so");
    assert_eq!(kept(&cache).len(), 2, "the key and the code");

    let none = Compiler::child("/nowhere/at/all", [""; 0]);
    host(none.clone(), &cache).load(LoadSpec::new("second", &bytes)).expect("what is kept needs no compiler");
    let error = refused(none, &bytes);
    assert_eq!(error.cause, Cause::Host);
    assert!(error.to_string().contains("`/nowhere/at/all`"), "{error}");
}

#[test]
fn what_is_no_component_inside_is_refused_in_the_compilers_words() {
    let mut broken = std::fs::read(adversary()).expect("a component");
    broken.truncate(broken.len() / 2);
    let error = refused(compiler(), &broken);
    assert_eq!(error.cause, Cause::File);
    assert!(error.to_string().contains("plugin `bomb`: it does not compile: "), "{error}");
}

#[test]
fn a_component_that_takes_too_long_to_compile_is_refused_with_the_limit() {
    let error = refused(limited(CompileLimits { cpu_s: 1, ..CompileLimits::default() }), &bomb(15_000, 200));
    assert_eq!(error.cause, Cause::Compile);
    let text = error.to_string();
    assert!(text.contains("plugin `bomb`: to compile it takes more than 1 s of CPU time; build it for release"), "{text}");
}

#[test]
fn a_component_that_takes_too_much_memory_to_compile_is_refused_with_the_limit() {
    let limits = CompileLimits { memory_bytes: 400 << 20, ..CompileLimits::default() };
    let error = refused(limited(limits), &bomb(1, 200_000));
    assert_eq!(error.cause, Cause::Compile);
    assert!(error.to_string().contains("takes more than 400 MiB of memory"), "{error}");
}

// P15: whatever a file asks of the compiler, it costs what was agreed and ends in an answer; that they export nothing is the least
// that is wrong with them.
#[test]
fn files_that_are_much_work_for_their_size_end_in_a_refusal() {
    for (name, bytes) in bombs() {
        let error = refused(limited(CompileLimits { cpu_s: 10, memory_bytes: 512 << 20, wall_s: 60 }), &bytes);
        assert!([Cause::File, Cause::Compile, Cause::Version].contains(&error.cause), "{name}: {error}");
    }
}

#[test]
fn a_compiler_that_hangs_is_ended_and_reaped() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    // It reads nothing, writes nothing, and has a child of its own that holds its pipes.
    let script = format!("echo $$ > {}; sleep 1000 & sleep 1000", pid.display());
    let error = refused(shell(&script, CompileLimits { wall_s: 1, ..CompileLimits::default() }), &bomb(2_000, 100));
    assert!(error.to_string().contains("takes more than 1 s on this machine"), "{error}");
    assert_gone(&pid);
}

#[test]
fn a_compiler_that_dies_in_the_middle_of_its_answer_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    // A head that promises more than comes, and a word on standard error.
    let answer = r"printf '\000\377\000\000\000\000\000\000\000half'";
    let script = format!("echo $$ > {}; head -c 100 > /dev/null; {answer}; echo oh >&2; kill -KILL $$", pid.display());
    let error = refused(shell(&script, CompileLimits::default()), &bomb(2_000, 100));
    assert_eq!(error.cause, Cause::Compile);
    assert!(error.to_string().contains("without an answer (signal: 9 (SIGKILL)); it said: oh"), "{error}");
    assert_gone(&pid);
}

/// The process whose number `file` has is no more: not even a zombie, which a signal would still reach.
fn assert_gone(file: &Path) {
    let pid = std::fs::read_to_string(file).expect("the script began");
    let found = Command::new("/bin/kill").args(["-0", pid.trim()]).output().expect("kill runs");
    assert!(!found.status.success(), "process {pid} is still there");
}

#[test]
fn a_server_goes_on_serving_while_a_component_is_too_much_for_the_compiler() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = "simwright: 1\nmodels: [{ match: m, latency: { constant: { first: 0ms } }, reply: { fixed: { text: alpha } } }]\n";
    std::fs::write(folder.path().join("scenario.yaml"), good).expect("written");
    std::fs::write(folder.path().join("bomb.wasm"), bomb(15_000, 200)).expect("written");
    let compiler = limited(CompileLimits { cpu_s: 1, ..CompileLimits::default() });
    let host = Arc::new(TestHost::start_with(folder, None, compiler));
    let stop = Arc::new(AtomicBool::new(false));
    let (client, stopping) = (Arc::clone(&host), Arc::clone(&stop));
    let client = std::thread::spawn(move || {
        let mut answers = 0;
        while !stopping.load(Ordering::Acquire) {
            let reply = client.chat(&ask("m", "x"));
            assert_eq!((reply.status, reply.complete), (200, true), "{}", reply.text());
            assert_eq!(reply.header("x-simwright-generation"), Some("1"));
            answers += 1;
        }
        answers
    });
    std::fs::write(host.scenario_file(), format!("{good}plugins: {{ bomb: {{ file: ./bomb.wasm }} }}\n")).expect("written");
    let refusal = host.app().reload().expect_err("a refusal").to_string();
    assert!(refusal.contains("scenario.yaml:3:26: to compile it takes more than 1 s of CPU time"), "{refusal}");
    assert!(refusal.contains("hint: build it for release and for size"), "{refusal}");
    stop.store(true, Ordering::Release);
    assert!(client.join().expect("every reply is good") > 0);
    assert_eq!(host.app().generation(), 1);
}
