//! The two wasmtime engines and the reason for every switch.
//!
//! The live engine counts time in epochs: nearly free, but what a call may do depends on the machine. The deterministic one
//! counts fuel, so that virtual time and `plugin test` give the same result everywhere. Both are settings of compiled code as
//! well, so each has compiled code of its own in the cache. Sizes come from [`limits`]; wasmtime's defaults are never relied
//! upon for them.

use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy};

use crate::types::limits;

/// Frames of a trap's way through the guest: enough to tell a recursion, and shown at log level debug; more only cost.
pub(super) const BACKTRACE_FRAMES: usize = 16;

/// How the time of guests is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Meter {
    /// By the thread's CPU time, looked at when an epoch ends: for a server.
    #[default]
    Cpu,
    /// By instructions: for virtual time and tests, where the machine must not matter.
    Fuel,
}

impl Meter {
    /// The word for it on a command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Fuel => "fuel",
        }
    }

    /// The meter that `word` stands for.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        [Self::Cpu, Self::Fuel].into_iter().find(|meter| meter.word() == word)
    }
}

/// How much room there is for instances.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Instances at once.
    pub(super) instances: u32,
    /// Bytes of a dead instance's memory that stay with its place, emptied.
    pub(super) keep_resident: usize,
}

/// Room is made for so many workers at least: few workers may have many plugins.
const WORKERS_MIN: u32 = 16;

impl Room {
    /// Room for the plugins that `workers` ask, of which each has an instance a worker.
    pub(super) fn for_workers(workers: usize) -> Self {
        let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(WORKERS_MIN);
        let instances = workers.saturating_mul(limits::PLUGIN_INSTANCES_PER_WORKER).min(limits::PLUGIN_INSTANCES_MAX);
        Self { instances, keep_resident: limits::GUEST_RESIDENT_BYTES }
    }
}

/// An engine for guests whose time is counted by `meter`, with `room`. Fails where the address space for that cannot be reserved.
pub(super) fn engine_in(meter: Meter, room: Room) -> wasmtime::Result<Engine> {
    let mut config = settings(meter);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(room)));
    Engine::new(&config)
}

/// The engine that compiles for [`engine_in`]: the same code, but no room for instances, which would be terabytes of address space.
pub(super) fn compiling_engine(meter: Meter) -> wasmtime::Result<Engine> {
    Engine::new(&settings(meter))
}

/// Everything that compiled code depends on.
fn settings(meter: Meter) -> Config {
    let mut config = Config::new();
    match meter {
        Meter::Cpu => config.epoch_interruption(true),
        Meter::Fuel => config.consume_fuel(true),
    };
    config.strategy(Strategy::Cranelift);
    config.cranelift_opt_level(OptLevel::Speed);
    // Equal inputs give equal bits, whatever the processor does with NaN payloads.
    config.cranelift_nan_canonicalization(true);
    config.parallel_compilation(true);
    // Start-up data is mapped, not copied: a fresh instance costs microseconds.
    config.memory_init_cow(true);
    config.max_wasm_stack(limits::GUEST_STACK_BYTES);
    // Calls are synchronous; support for concurrent ones costs every call.
    config.concurrency_support(false);
    // Nobody debugs guests in a server.
    config.debug_info(false);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES));
    features(&mut config);
    // 4 GiB of address space for each memory makes bounds checks unnecessary; what may be used is a matter of `GuestLimits`.
    config.memory_reservation(4 << 30);
    config.memory_guard_size(32 << 20);
    config.memory_may_move(false);
    config
}

/// What a guest may be made of: the settled part of WebAssembly whose results do not depend on the machine.
fn features(config: &mut Config) {
    config.wasm_component_model(true);
    config.wasm_simd(true);
    config.wasm_bulk_memory(true);
    config.wasm_multi_value(true);
    config.wasm_tail_call(true);
    config.wasm_extended_const(true);
    // Results of relaxed operations differ between processors.
    config.wasm_relaxed_simd(false);
    // One memory of at most 4 GiB needs no bounds checks; the rest is surface without use here. Threads, garbage collection,
    // exceptions and component async are not compiled in at all.
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_wide_arithmetic(false);
}

/// Room for instances.
fn pool(Room { instances, keep_resident }: Room) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances);
    // A number that is counted to and nothing that is reserved, so it need not be scarce: components of Python have 14.
    pool.total_core_instances(instances.saturating_mul(limits::PLUGIN_CORE_INSTANCES_MAX));
    // What interpreters have, as all others: a memory, and two tables.
    pool.total_memories(instances);
    pool.total_tables(instances.saturating_mul(2));
    pool.max_core_instances_per_component(limits::PLUGIN_CORE_INSTANCES_MAX);
    pool.max_memories_per_component(2);
    pool.max_tables_per_component(limits::PLUGIN_CORE_INSTANCES_MAX);
    pool.max_memories_per_module(1);
    pool.max_tables_per_module(4);
    pool.max_component_instance_size(1 << 20);
    pool.max_core_instance_size(1 << 20);
    pool.max_memory_size(limits::GUEST_MEMORY_CEILING_BYTES);
    pool.table_elements(limits::GUEST_TABLE_ELEMENTS);
    pool.linear_memory_keep_resident(keep_resident);
    pool.table_keep_resident(keep_resident);
    // The system says which pages were written (Linux 6.7), and only these are emptied. Giving them back would interrupt every core.
    pool.pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(engine: wasmtime::Result<Engine>) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        engine.expect("an engine").precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn code_for_one_meter_does_not_pass_for_the_other() {
        let engine = |meter| engine_in(meter, Room::for_workers(1));
        assert_ne!(hash(engine(Meter::Cpu)), hash(engine(Meter::Fuel)));
        assert_eq!(hash(engine(Meter::Fuel)), hash(engine(Meter::Fuel)));
    }

    #[test]
    fn the_compiling_engine_makes_code_for_the_running_one() {
        for meter in [Meter::Cpu, Meter::Fuel] {
            assert_eq!(hash(engine_in(meter, Room::for_workers(1))), hash(compiling_engine(meter)));
        }
    }

    #[test]
    fn many_workers_have_more_room_and_the_address_space_bounds_it() {
        let [one, few, many, endless] = [1, 16, 64, usize::MAX].map(|workers| Room::for_workers(workers).instances);
        assert!(one == few && few >= 1_000 && many == 4 * few, "{one} {few} {many}");
        assert_eq!(endless, limits::PLUGIN_INSTANCES_MAX);
    }
}
