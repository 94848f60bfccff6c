//! The plugins that every copy of the program carries. The build script compiles them from `plugins/` and writes the list.
//!
//! They are components like any other: loaded, limited and reported the same way, only without a file.

/// Name and component of each standard plugin, in the order of the build script's list. A slice of bytes is a component file.
pub static STANDARD_PACK: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/standard_pack.rs"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm::LoadSpec;
    use crate::wasm::tests::support::host;

    #[test]
    fn every_standard_plugin_loads_under_its_own_name() {
        for (name, bytes) in STANDARD_PACK {
            let plugin = host().load(LoadSpec::new(name, bytes)).expect("a good plugin");
            assert_eq!(plugin.about().name, *name);
        }
    }
}
