//! Packs: how they are built, kept, moved and believed.

/// A registry that lies, stalls and leads astray.
mod lying_registry;
/// A real registry.
mod registry;
