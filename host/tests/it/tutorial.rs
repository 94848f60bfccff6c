//! The tutorial in `docs/plugins/`, played as a reader would follow it: one page after the other in one folder.

use super::support::guests::workspace;
use super::support::readme::blocks;
use super::support::transcript::Shell;

/// The pages in the order in which they are read, from the list at their front.
fn pages() -> Vec<String> {
    let list = std::fs::read_to_string(workspace().join("docs/plugins/README.md")).expect("a list");
    let links = list.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    links.filter_map(|line| line.split("](").nth(1)?.split(')').next().map(str::to_owned)).collect()
}

#[test]
fn every_command_of_the_tutorial_prints_what_it_says() {
    let empty = tempfile::tempdir().expect("a folder");
    let mut shell = Shell::in_copy_of(empty.path());
    let (mut played, mut wrong) = (0, Vec::new());
    for page in pages() {
        let name = format!("docs/plugins/{page}");
        let text = std::fs::read_to_string(workspace().join(&name)).expect("a page");
        let (commands, differences) = shell.follow(&name, &blocks(&text));
        played += commands;
        wrong.extend(differences);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(played >= 12, "only {played} blocks were found");
}
