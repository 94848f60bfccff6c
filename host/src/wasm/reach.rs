//! What a component reaches, found out from its imports, and whether it was granted.

use wasmtime::component::Component;

use crate::types::capability::{Capabilities, Capability};
use crate::wasm::contract::parts;
use crate::wasm::error::{Cause, PluginError};

/// The capabilities that `component` imports.
pub(super) fn reached(component: &Component) -> Capabilities {
    let (engine, ty) = (component.engine(), component.component_type());
    let imports: Vec<String> = ty.imports(engine).filter_map(|(name, _)| Some(parts(name)?.0.to_owned())).collect();
    let is_imported = |capability: &Capability| imports.iter().any(|interface| interface == capability.word());
    Capability::ALL.into_iter().filter(is_imported).collect()
}

/// Refuses `reached` by name where it was not `granted`.
pub(super) fn check(plugin: &str, reached: Capabilities, granted: Capabilities) -> Result<(), PluginError> {
    let lacking = reached.without(granted);
    if lacking.is_empty() {
        return Ok(());
    }
    let each: Vec<String> = lacking.iter().map(|lacks| format!("`{}` ({})", lacks.word(), lacks.meaning())).collect();
    Err(PluginError::new(plugin, Cause::NotGranted, format!("it imports {}, which it was not granted", each.join(" and "))))
}
