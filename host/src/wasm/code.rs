//! Compiled code that may be loaded. Loading it means running it, so this is the only place that does, and only two ways lead here:
//! the compiler (`compiler`), and the cache once it has checked the bytes (`compile_cache`).

use wasmtime::Engine;
use wasmtime::component::Component;

/// What `Engine::precompile_component` gave, here or in our own child process.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Code(Vec<u8>);

impl Code {
    /// Code that the caller answers for: it came from a compiler of ours, or carries the tag of the cache's key.
    pub(super) fn vouched(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As bytes, to be kept.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The component. Fails for code of an engine with other settings or of another version, and where memory is short.
    pub(super) fn component(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` trusts its input to be what `precompile_component` gave. A `Code` is made of bytes that came from
        // this program's compiler, over a private pipe or under a checked tag. wasmtime checks engine and version itself.
        #[allow(unsafe_code, reason = "the only way to load compiled code; where it comes from is checked above")]
        unsafe {
            Component::deserialize(engine, &self.0)
        }
    }
}
