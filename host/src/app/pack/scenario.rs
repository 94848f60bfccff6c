//! A scenario of an installed pack as a file of one's own: with its pack under `packs:` and with all that the pack asks for granted, in
//! plain sight, for whoever runs it to read and to take back.

use crate::app::pack::Failure;
use crate::app::pack::find::installed;
use crate::pack::store::Store;
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
    // The section may stand anywhere at the top level, and the end is there in every file.
    let end = if text.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{text}{end}{section}"))
}
