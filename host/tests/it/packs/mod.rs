//! Packs: how they are built, kept, moved and believed.

/// From a team's folder through a registry into another team's scenario.
mod afar;
/// Balancers and autoscalers in packs.
mod choosers;
/// A folder, a store and the program.
mod desk;
/// The document about packs, as a person follows it.
mod document;
/// Packs of plugin projects.
mod from_projects;
/// Stores that are killed, filled up and asked by many at once.
mod hardships;
/// From a recipe to a scenario that uses the pack.
mod lifecycle;
/// Vectors of packs that a running server moves to.
mod live;
/// A registry that lies, stalls and leads astray.
mod lying_registry;
/// A registry as people have it.
mod real_registry;
/// What is refused, and that it leaves nothing behind.
mod refusals;
/// Packs in that one.
mod registry;
/// The recipe of the standard pack.
mod standard;
