use simwright::pack::recipe;
use simwright::pack::trust::Policy;

use crate::support::guests::workspace;
use crate::support::readme::blocks;
use crate::support::transcript::Shell;

#[test]
fn the_document_about_packs_works_as_written() {
    let text = std::fs::read_to_string(workspace().join("docs/packs.md")).expect("a document");
    let empty = tempfile::tempdir().expect("a folder");
    let mut shell = Shell::in_copy_of(empty.path());
    let (mut differences, mut manifests) = (Vec::new(), 0);
    for block in blocks(&text) {
        match block.language.as_str() {
            "console" => differences.extend(shell.play(&block)),
            "yaml" => std::fs::write(shell.folder().join("scenario.yaml"), &block.text).expect("written"),
            "toml" if block.text.contains("[[publisher]]") => {
                Policy::parse("trust.toml", &block.text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
                manifests += 1;
            }
            "toml" => {
                recipe::parse("pack.toml", &block.text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
                manifests += 1;
            }
            other => panic!("docs/packs.md:{}: a block of `{other}` that nothing looks at", block.line),
        }
    }
    assert!(differences.is_empty() && manifests == 2, "{}", differences.join("\n"));
}
