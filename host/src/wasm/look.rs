//! What a component says of itself before it runs: what it imports and what each import means here, and its interfaces as WIT.

use wit_component::{OutputToString, WitPrinter, decode};

use crate::types::capability::Capability;
use crate::wasm::Plugin;
use crate::wasm::contract::{CONTRACT, parts};

/// What a guest gets that imports an interface of WASI, by how its name begins.
const MEANINGS: [(&str, &str); 9] = [
    ("wasi:cli/environment", "an empty environment, no arguments"),
    ("wasi:cli/exit", "an end of its call as a failure"),
    ("wasi:cli/std", "an empty input; output goes to its log"),
    ("wasi:cli/terminal", "no terminal"),
    ("wasi:clocks", "the time of the call, on whichever clock runs"),
    ("wasi:filesystem", "no files"),
    ("wasi:io", "streams of its output"),
    ("wasi:random", "numbers drawn from the call's seed"),
    ("wasi:sockets", "no network: a call of it fails"),
];

/// Something that a component imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The interface with its version.
    pub name: String,
    /// What it gets; empty for mere words.
    pub meaning: &'static str,
}

impl Plugin {
    /// The contract that it is built against.
    pub fn interface(&self) -> String {
        let component = self.mould.component();
        let ty = component.component_type();
        let version = ty.exports(component.engine()).find_map(|(name, _)| Some(parts(name)?.1.to_owned()));
        format!("simwright:plugin@{}", version.as_deref().unwrap_or(CONTRACT))
    }

    /// What it imports, in order of name.
    pub fn imports(&self) -> Vec<Import> {
        let component = self.mould.component();
        let ty = component.component_type();
        let mut imports: Vec<Import> =
            ty.imports(component.engine()).map(|(name, _)| Import { name: name.to_owned(), meaning: meaning(name) }).collect();
        imports.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        imports
    }
}

/// What whoever imports `name` gets. Interfaces that are mere words of types give nothing.
fn meaning(name: &str) -> &'static str {
    let own = name.strip_prefix("simwright:plugin/").and_then(|rest| rest.split('@').next());
    if let Some(capability) = Capability::ALL.into_iter().find(|capability| Some(capability.word()) == own) {
        return capability.meaning();
    }
    MEANINGS.iter().find(|(beginning, _)| name.starts_with(beginning)).map_or("", |(_, meaning)| meaning)
}

/// The interfaces of the component `bytes` as WIT. The error says why they cannot be told.
pub fn wit(bytes: &[u8]) -> Result<String, String> {
    let decoded = decode(bytes).map_err(|error| format!("its interfaces cannot be read: {error:#}"))?;
    let (resolve, package) = (decoded.resolve(), decoded.package());
    let others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != package).collect();
    let mut printer = WitPrinter::<OutputToString>::default();
    printer.print(resolve, package, &others).map_err(|error| format!("its interfaces cannot be printed: {error:#}"))?;
    Ok(printer.output.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm::tests::support::{adversary, load};

    #[test]
    fn every_import_of_a_plugin_has_a_meaning_and_its_interfaces_are_told() {
        let imports = load("looked-at").imports();
        let meaning = |name: &str| imports.iter().find(|import| import.name.starts_with(name)).map(|import| import.meaning);
        assert_eq!(meaning("simwright:plugin/state@"), Some(Capability::State.meaning()));
        assert_eq!(meaning("wasi:cli/stderr@"), Some("an empty input; output goes to its log"));
        let silent: Vec<_> = imports.iter().filter(|import| import.meaning.is_empty()).map(|import| &import.name).collect();
        assert!(silent.iter().all(|name| name.starts_with("simwright:plugin/types@")), "{silent:?}");
        let text = wit(adversary()).expect("interfaces");
        assert!(text.contains("decide: func(call: call) -> verdict;"), "{text}");
    }
}
