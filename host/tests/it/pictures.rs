//! The pictures of the plugins' effects are what the commands beside them draw: the whole way from scenario to file, to the byte.

use std::path::PathBuf;

use simwright::wasm::STANDARD_PACK;

use super::support::guests::workspace;
use super::support::readme::{Block, blocks};
use super::support::transcript::Shell;

/// Every plugin with an effect: its folder, and the block of its README that draws it.
fn effects() -> Vec<(PathBuf, Block)> {
    let folders = std::fs::read_dir(workspace().join("plugins")).expect("a folder").flatten().map(|entry| entry.path());
    let mut effects: Vec<_> = folders.filter(|folder| folder.join("effect.yaml").is_file()).collect();
    effects.sort();
    let draws = |block: &Block| block.language == "console" && block.text.contains("--svg effect.svg");
    let block = |folder: &PathBuf| {
        let readme = std::fs::read_to_string(folder.join("README.md")).expect("a README");
        assert!(readme.contains("](effect.svg)"), "{}: the README does not show its picture", folder.display());
        blocks(&readme).into_iter().find(draws).unwrap_or_else(|| panic!("{}: no command draws the picture", folder.display()))
    };
    effects.into_iter().map(|folder| (folder.clone(), block(&folder))).collect()
}

#[test]
fn every_plugin_of_the_standard_pack_has_a_picture_of_its_effect() {
    for (name, _) in STANDARD_PACK {
        let folder = workspace().join("plugins").join(name);
        let readme = std::fs::read_to_string(folder.join("README.md")).expect("a README");
        assert!(readme.contains("](effect.svg)") && folder.join("effect.svg").is_file(), "{name}");
    }
}

/// `UPDATE_PICTURES=1` writes them instead.
#[test]
fn every_picture_of_an_effect_is_what_its_command_draws() {
    let effects = effects();
    let mut wrong = Vec::new();
    for (folder, block) in effects {
        let copy = tempfile::tempdir().expect("a folder");
        std::fs::copy(folder.join("effect.yaml"), copy.path().join("effect.yaml")).expect("copied");
        let mut shell = Shell::in_copy_of(copy.path());
        let place = folder.display();
        wrong.extend(shell.play(&block).into_iter().map(|difference| format!("{place}: {difference}")));
        let drawn = std::fs::read_to_string(shell.folder().join("effect.svg")).expect("a picture");
        let picture = folder.join("effect.svg");
        if std::env::var_os("UPDATE_PICTURES").is_some() {
            std::fs::write(&picture, &drawn).expect("written");
        } else if std::fs::read_to_string(&picture).ok().as_deref() != Some(&*drawn) {
            wrong.push(format!(
                "{place}: effect.svg is not what its command draws; look at it, then `UPDATE_PICTURES=1 cargo test pictures`"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
