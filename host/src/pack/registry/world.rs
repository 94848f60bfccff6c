//! What components import and export, by name: what the config of a Wasm artifact tells people who look for one.

use std::collections::BTreeSet;

use wasmparser::{Parser, Payload};

use crate::pack::registry::manifest::World;

/// Adds what `component` imports and exports to `world`. Bytes that are no component add nothing: packs are checked when they are built.
pub(super) fn add(component: &[u8], world: &mut World) {
    let mut depth = 0_u32;
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::Version { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ComponentImportSection(section)) if depth == 1 => {
                imports.extend(section.into_iter().flatten().map(|import| import.name.name.to_owned()));
            }
            Ok(Payload::ComponentExportSection(section)) if depth == 1 => {
                exports.extend(section.into_iter().flatten().map(|export| export.name.name.to_owned()));
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    for (names, known) in [(imports, &mut world.imports), (exports, &mut world.exports)] {
        let all: BTreeSet<String> = known.drain(..).chain(names).collect();
        known.extend(all);
    }
}
