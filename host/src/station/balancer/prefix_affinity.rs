//! The backend that knows the longest prefix of the prompt, unless others have much less to do.
//!
//! A backend is taken to know the blocks of the prompts that were sent to it, the last `blocks_max` used of them, as its own prefix cache
//! does. Its cost, in blocks, is what it would have to compute (the prompt less what it knows) and `busy_blocks` for each request that it
//! has. The cheapest takes it. A backend that was seen unhealthy has forgotten everything.

use super::{Ask, Choose};
use crate::station::keys::KeyMap;
use crate::station::list::{Links, List};

/// Blocks in the order of their last use.
#[derive(Debug)]
struct Memory {
    places: KeyMap,
    blocks: Vec<u64>,
    links: Links,
    order: List,
}

impl Memory {
    fn new() -> Self {
        Self { places: KeyMap::default(), blocks: Vec::new(), links: Links::default(), order: List::EMPTY }
    }

    /// How many of the first blocks it knows. Whenever a block is used, those before it are used later, so it forgets the ends of prefixes
    /// first: if it knows a block, it knows all before.
    fn known(&self, prefix: &[u64]) -> usize {
        prefix.partition_point(|block| self.places.contains_key(block))
    }

    fn learn(&mut self, prefix: &[u64], blocks_max: u32) {
        for block in prefix.iter().take(blocks_max as usize).rev() {
            let place = match self.places.get(block) {
                Some(place) => {
                    self.order.remove(&mut self.links, *place);
                    *place
                }
                None => self.place_for(*block, blocks_max),
            };
            self.order.push(&mut self.links, place);
        }
    }

    fn place_for(&mut self, block: u64, blocks_max: u32) -> u32 {
        let oldest = if self.order.len() < blocks_max { None } else { self.order.pop(&mut self.links) };
        let place = oldest.unwrap_or(self.blocks.len() as u32);
        match self.blocks.get_mut(place as usize) {
            Some(old) => _ = self.places.remove(&std::mem::replace(old, block)),
            None => self.blocks.push(block),
        }
        self.places.insert(block, place);
        place
    }

    fn forget(&mut self) {
        self.places.clear();
        self.blocks.clear();
        self.order = List::EMPTY;
    }
}

/// What each backend knows.
#[derive(Debug)]
pub(super) struct PrefixAffinity {
    blocks_max: u32,
    busy_blocks: u32,
    memories: Vec<Memory>,
    /// Costs of the backends, kept to save an allocation for each pick.
    costs: Vec<f64>,
}

impl PrefixAffinity {
    pub(super) fn new(blocks_max: u32, busy_blocks: u32, count: usize) -> Self {
        let memories = (0..count).map(|_| Memory::new()).collect();
        Self { blocks_max, busy_blocks, memories, costs: Vec::new() }
    }
}

impl Choose for PrefixAffinity {
    fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        while self.memories.len() < ask.view.len() {
            self.memories.push(Memory::new());
        }
        self.costs.clear();
        for (backend, memory) in ask.view.iter().zip(&mut self.memories) {
            if !backend.healthy && !memory.blocks.is_empty() {
                memory.forget();
            }
            let unknown = ask.prefix.len() - memory.known(ask.prefix);
            self.costs.push((unknown as u64 + backend.busy() * u64::from(self.busy_blocks)) as f64);
        }
        let place = ask.cheapest(|place| self.costs[place])?;
        self.memories[place].learn(ask.prefix, self.blocks_max);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;
    use crate::station::balancer::{Backend, Balancer, Rule};

    fn blocks(range: std::ops::Range<u64>) -> Vec<u64> {
        range.map(|block| Key::of_seed(block).bits()).collect()
    }

    #[test]
    fn a_prompt_goes_where_its_longest_prefix_is_known() {
        let mut balancer = Balancer::new(Rule::PrefixAffinity { blocks_max: 1_000, busy_blocks: 0 }, 4);
        let view = [Backend::default(); 4];
        assert_eq!(balancer.pick(0, &view, 0, &blocks(0..10), 0.3), Some(1));
        assert_eq!(balancer.pick(0, &view, 0, &blocks(20..30), 0.99), Some(3));
        assert_eq!(balancer.pick(0, &view, 0, &[blocks(0..5), blocks(90..99)].concat(), 0.99), Some(1));
        assert_eq!(balancer.pick(0, &view, 0, &[blocks(20..21), blocks(60..70)].concat(), 0.0), Some(3));
    }

    #[test]
    fn a_known_prefix_gives_way_to_a_load_that_outweighs_it() {
        let mut balancer = Balancer::new(Rule::PrefixAffinity { blocks_max: 1_000, busy_blocks: 4 }, 2);
        let busy = |running| [Backend { running, ..Backend::default() }, Backend::default()];
        assert_eq!(balancer.pick(0, &busy(0), 0, &blocks(0..10), 0.0), Some(0));
        assert_eq!(balancer.pick(0, &busy(2), 0, &blocks(0..10), 0.9), Some(0));
        assert_eq!(balancer.pick(0, &busy(3), 0, &blocks(0..10), 0.0), Some(1));
        // Now both know it.
        assert_eq!(balancer.pick(0, &busy(1), 0, &blocks(0..10), 0.0), Some(1));
    }

    #[test]
    fn a_backend_that_was_unhealthy_has_forgotten() {
        let mut balancer = Balancer::new(Rule::PrefixAffinity { blocks_max: 1_000, busy_blocks: 1 }, 2);
        let mut view = [Backend::default(); 2];
        assert_eq!(balancer.pick(0, &view, 0, &blocks(0..10), 0.9), Some(1));
        view[1].healthy = false;
        assert_eq!(balancer.pick(0, &view, 0, &blocks(50..51), 0.9), Some(0));
        view[1].healthy = true;
        assert_eq!(balancer.pick(0, &view, 0, &blocks(0..10), 0.0), Some(0));
    }

    #[test]
    fn the_ends_of_prefixes_used_longest_ago_are_forgotten_first() {
        let mut memory = Memory::new();
        memory.learn(&blocks(0..6), 8);
        memory.learn(&blocks(10..14), 8);
        assert_eq!((memory.known(&blocks(0..6)), memory.known(&blocks(10..14))), (4, 4));
        memory.learn(&blocks(0..3), 8);
        memory.learn(&blocks(20..22), 8);
        assert_eq!((memory.known(&blocks(0..6)), memory.known(&blocks(10..14))), (3, 3));
        // A prompt longer than the memory leaves its first blocks.
        memory.learn(&blocks(30..50), 8);
        assert_eq!((memory.known(&blocks(30..50)), memory.known(&blocks(0..6))), (8, 0));
        assert_eq!((memory.blocks.len(), memory.places.len()), (8, 8));
    }
}
