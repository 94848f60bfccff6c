use simwright::wasm::STANDARD_PACK;

use super::desk::{Desk, component};
use crate::support::guests::workspace;

/// Whoever builds it builds the projects, too; here are the components that the program carries. The build itself refuses a capability
/// that is missing, or asked for in vain.
#[test]
fn the_recipe_of_the_standard_pack_names_every_plugin_of_it_and_its_scenario_is_right() {
    let desk = Desk::new();
    let of_recipe = |name: &str| std::fs::read_to_string(workspace().join("plugins").join(name)).expect("a file");
    let recipe = of_recipe("pack.toml");
    let recipe = recipe.lines().map(|line| match line.strip_prefix("project = \"").and_then(|rest| rest.strip_suffix('"')) {
        Some(project) => format!("file = \"{project}.wasm\"\n"),
        None => format!("{line}\n"),
    });
    desk.write("standard/pack.toml", recipe.collect::<String>());
    desk.write("standard/scenarios/bad-day.yaml", of_recipe("scenarios/bad-day.yaml"));
    for (name, _) in STANDARD_PACK {
        desk.write(&format!("standard/{name}.wasm"), component(name));
    }
    let built = desk.done(&["pack", "build", "standard", "--output", "built"]);
    assert!(built.starts_with("built\nsha256:"), "{built}");
    let manifest: serde_json::Value = serde_json::from_str(&desk.read("built/pack.json")).expect("JSON");
    let names = |field: &str| -> Vec<String> {
        let parts = manifest[field].as_array().into_iter().flatten();
        parts.filter_map(|part| part["name"].as_str()).map(str::to_owned).collect()
    };
    let mut expected: Vec<&str> = STANDARD_PACK.iter().map(|(name, _)| *name).collect();
    expected.sort_unstable();
    assert_eq!(
        (names("plugins"), names("scenarios")),
        (expected.iter().map(ToString::to_string).collect(), vec!["bad-day".to_owned()])
    );
}
