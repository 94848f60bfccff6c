//! Packs: how they are built, kept, moved and believed.

/// A folder, a store and the program.
mod desk;
/// The document about packs, as a person follows it.
mod document;
/// Stores that are killed, filled up and asked by many at once.
mod hardships;
/// From a recipe to a scenario that uses the pack.
mod lifecycle;
