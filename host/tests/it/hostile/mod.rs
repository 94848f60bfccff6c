//! Plugins that mean harm, behind the real server: the cases P1 to P18 that need one. The others are in `host/src/wasm`.
//!
//! What is promised to bystanders is that they are answered, all of them; how fast is judged only in full size (`SIMWRIGHT_FULL=1`),
//! where nothing else runs beside.

/// P1, P2, P4, P11: calls that loop, eat, trap, and whose clients leave.
mod calls;
/// P13, P14: more calls than there is room for, and streams that need none.
mod room;
/// P8: texts that are meant to be more than text.
mod texts;
/// P18: what is done about a plugin that fails again and again.
mod trust;

use super::support::guests::adversary;
use super::support::host::{TestHost, ask};

/// A server with a bystander, and for each of `names` a model that the adversary decides for under that name.
fn serve(names: &[&str]) -> TestHost {
    TestHost::start(&scenario(names, &adversary().display().to_string()))
}

fn scenario(names: &[&str], file: &str) -> String {
    let plugins: String = names.iter().map(|name| format!("  {name}: {{ file: {file} }}\n")).collect();
    let models: String = names
        .iter()
        .map(|name| format!("  - {{ match: {name}, faults: [{name}], reply: {{ fixed: {{ text: fine }} }} }}\n"))
        .collect();
    format!(
        "simwright: 1\ndefaults: {{ latency: {{ constant: {{ first: 0ms, between: 0ms }} }} }}\nplugins:\n{plugins}models:\n  \
         - {{ match: bystander, reply: {{ fixed: {{ text: fine }} }} }}\n{models}"
    )
}

/// The status with which `model` answers when the adversary does `deed`.
fn status(host: &TestHost, model: &str, deed: &str) -> u16 {
    host.chat_with(&ask(model, "x"), &[("x-adversary", deed)]).status
}
