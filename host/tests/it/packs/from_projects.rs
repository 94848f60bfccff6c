use super::desk::{Desk, ran};
use crate::support::guests::target_dir;

const RECIPE: &str = "\
name = \"acme\"
version = \"1.0.0\"
licence = \"MIT\"
description = \"What happens at night.\"
interface = \"^1.0.0\"

[[plugin]]
name = \"night\"
project = \"night-shift\"
";

/// A desk with a pack of one project in C, under another name than the project's; `None` if C cannot be built here and need not be.
#[allow(clippy::print_stderr, reason = "what a run leaves out must be seen")]
fn scene() -> Option<Desk> {
    let desk = Desk::new();
    desk.write("acme/pack.toml", RECIPE);
    desk.done(&["plugin", "new", "night-shift", "--kind", "latency", "--lang", "c", "--dir", "acme/night-shift"]);
    // Another one, so that the pack's own is not built yet.
    desk.done(&["plugin", "new", "probe", "--kind", "latency", "--lang", "c"]);
    let probe = desk.run(&["plugin", "build", "probe"]);
    if probe.err.contains("is not installed") {
        let must = ["CI", "SIMWRIGHT_FULL"].into_iter().any(|name| std::env::var_os(name).is_some());
        assert!(!must, "{}", probe.err);
        eprintln!("left out: packs of projects in C\n{}", probe.err);
        return None;
    }
    assert_eq!(probe.code, Some(0), "{probe:?}");
    Some(desk)
}

#[test]
fn a_pack_builds_its_projects_where_a_source_is_younger_than_the_component() {
    let Some(desk) = scene() else { return };
    let component = desk.path("acme/night-shift/build/night_shift.wasm");
    let built_at = || std::fs::metadata(&component).and_then(|meta| meta.modified()).expect("a component");

    // What is installed is never built: that would run what lies in somebody's folder.
    for command in [&["pack", "install", "./acme"][..], &["pack", "inspect", "./acme"]] {
        let said = desk.fails(3, command);
        assert!(said.contains("pack.toml:9:11: the plugin `night` is not built"), "{said}");
        assert!(said.contains("hint: `simwright pack build ./acme` builds it"), "{said}");
    }
    assert!(!component.exists());

    assert!(desk.done(&["pack", "check", "acme"]).contains("no mistakes (1 plugin"));
    let first = built_at();
    desk.done(&["pack", "test", "acme"]);
    let pack = desk.done(&["pack", "build", "acme"]);
    assert_eq!(built_at(), first, "nothing was saved since");
    desk.done(&["pack", "install", "./acme"]);

    desk.edit("acme/night-shift/plugin.c", "\"300ms\"", "\"200ms\"");
    desk.edit("acme/night-shift/tests/first.yaml", "300ms", "200ms");
    desk.edit("acme/night-shift/tests/first.yaml", "1500ms", "1s");
    assert!(desk.fails(3, &["pack", "install", "./acme"]).contains("its sources are younger than its component"));
    assert_ne!(desk.done(&["pack", "build", "acme"]), pack);
    assert_ne!(built_at(), first);
}

#[test]
fn a_project_that_does_not_build_is_told_in_the_tools_words_with_the_plugins_name() {
    let Some(desk) = scene() else { return };
    let source = desk.read("acme/night-shift/plugin.c");
    desk.write("acme/night-shift/plugin.c", format!("{source}\nvoid broken(void) {{ nothing_like_it(; }}\n"));
    let second = "[[plugin]]\nname = \"other\"\nproject = \"nowhere\"\n";
    desk.write("acme/pack.toml", format!("{RECIPE}\n{second}"));
    let line = source.lines().count() + 2;
    for command in ["check", "test", "build"] {
        let said = desk.fails(3, &["pack", command, "acme"]);
        for part in [
            &format!("night: plugin.c:{line}:") as &str,
            "pack.toml:9:11: the plugin `night`: clang failed; it says why above",
            "pack.toml:13:11: the plugin `other`: cannot read `acme/nowhere/plugin.toml`",
            "error: 2 mistakes",
        ] {
            assert!(said.contains(part), "{command}: no `{part}` in\n{said}");
        }
    }
    // A manifest has places of its own.
    desk.write("acme/pack.toml", RECIPE);
    desk.edit("acme/night-shift/plugin.toml", "lang = \"c\"", "lang = \"cobol\"");
    let said = desk.fails(3, &["pack", "check", "acme"]);
    assert!(said.contains("acme/night-shift/plugin.toml:") && said.contains("`cobol` is no value of `lang`"), "{said}");
}

#[test]
fn a_tool_that_is_missing_is_named_with_how_to_get_it() {
    let desk = Desk::new();
    desk.write("acme/pack.toml", RECIPE);
    desk.done(&["plugin", "new", "night-shift", "--kind", "latency", "--dir", "acme/night-shift"]);
    let mut command = desk.command(env!("CARGO_BIN_EXE_simwright"), &["pack", "check", "acme"]);
    let ran = ran(command.env("PATH", target_dir().join("nothing-here")));
    assert!(ran.code == Some(3) && ran.err.contains("the plugin `night`: cargo is not installed"), "{ran:?}");
    assert!(ran.err.contains("hint: install Rust with rustup"), "{ran:?}");
}
