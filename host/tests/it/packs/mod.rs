//! Packs: how they are built, kept, moved and believed.

/// A registry that lies, stalls and leads astray.
mod lying_registry;
/// A registry as people have it.
mod real_registry;
/// Packs in that one.
mod registry;
