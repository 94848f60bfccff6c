//! A scenario of an installed pack as a file of one's own: with its pack under `packs:` and with all that the pack asks for granted, in
//! plain sight, for whoever runs it to read and to take back.

use std::path::Path;

use crate::app::pack::Failure;
use crate::app::pack::find::installed;
use crate::pack::store::Store;
use crate::scenario::{Draft, read};
use crate::types::capability::Reach;
use crate::types::problem::did_you_mean;

/// The text of the scenario that `which` names: `pack/scenario`, the pack by its name or as `name@version`.
pub fn scenario(store: &Store, which: &str) -> Result<String, Failure> {
    let form = || Failure::Refused(format!("`{which}` names no scenario of a pack; write for example `acme/noon`"));
    let (pack, name) = which.split_once('/').ok_or_else(form)?;
    let record = installed(store, pack)?;
    let pack = store.pack(&record)?;
    let names = || pack.manifest.scenarios.iter().map(|part| part.name.as_str());
    let part = pack.manifest.scenarios.iter().find(|part| part.name == name).ok_or_else(|| {
        let hint = match did_you_mean(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "it has {}",
                if names().next().is_none() { "none".to_owned() } else { names().collect::<Vec<_>>().join(", ") }
            ),
        };
        Failure::Refused(format!("the pack `{}` has no scenario `{name}`; {hint}", record.name))
    })?;
    let layer = pack.manifest.file(&part.file).ok_or_else(form)?;
    let text = String::from_utf8_lossy(&pack.read(layer)?).into_owned();
    if pack.manifest.plugins.is_empty() {
        return Ok(text);
    }
    let grant = pack.manifest.reach().beyond(Reach::default()).join(", ");
    let from = serde_json::Value::from(record.source.as_str());
    let section = format!("packs:\n  {}: {{ from: {from}, version: \"^{}\", grant: [{grant}] }}\n", record.name, record.version);
    let text = with_section(&text, &section);
    // It must say what is meant, in whatever way its author writes YAML.
    let means_it =
        |draft: &Draft| matches!(&draft.scenario.packs[..], [used] if used.name == record.name && used.from == record.source);
    match read::parse(which, &text, Path::new("")) {
        Ok(draft) if means_it(&draft) => Ok(text),
        _ => Err(Failure::Refused(format!(
            "`{which}` is written so that nothing can be added to it; copy it by hand from `{}` and add:\n{section}",
            store.blob(&layer.digest).display()
        ))),
    }
}

/// `text` with `section` before its first line that is neither empty nor a comment nor a mark of where a document begins.
fn with_section(text: &str, section: &str) -> String {
    let is_head = |line: &str| line.trim().is_empty() || line.starts_with(['#', '%']) || line.trim_end() == "---";
    let at: usize = text.split_inclusive('\n').take_while(|line| is_head(line)).map(str::len).sum();
    let (head, rest) = text.split_at(at);
    let end = if head.is_empty() || head.ends_with('\n') { "" } else { "\n" };
    format!("{head}{end}{section}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_added_where_every_document_goes_on() {
        let section = "packs: {}\n";
        for (text, expected) in [
            ("simwright: 1\nmodels: []\n...\n", "packs: {}\nsimwright: 1\nmodels: []\n...\n"),
            ("# a\n\n---\nsimwright: 1", "# a\n\n---\npacks: {}\nsimwright: 1"),
            ("%YAML 1.2\n---\n{ simwright: 1 }\n", "%YAML 1.2\n---\npacks: {}\n{ simwright: 1 }\n"),
        ] {
            assert_eq!(with_section(text, section), expected);
        }
    }
}
