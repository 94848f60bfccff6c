//! The blocks of a KV cache: which are free, and what the free ones still hold.
//!
//! As in vLLM, a block that nobody uses keeps its content until it is needed, least recently used first, and whoever needs that
//! content takes it out of the queue again. Blocks differ only by their content, so those that nobody can ask for (private text) are
//! queued as one *stretch* with a count, and only blocks that several sequences may share have an entry of their own.

use crate::station::keys::KeyMap;

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// All blocks of one replica.
#[derive(Debug)]
pub(super) struct Blocks {
    total: u32,
    free: u32,
    entries: Vec<Entry>,
    vacant: u32,
    /// The free blocks, the one to be used next first.
    head: u32,
    tail: u32,
    by_hash: KeyMap,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    before: u32,
    after: u32,
    content: Content,
}

#[derive(Debug, Clone, Copy)]
enum Content {
    /// Blocks that nobody will ask for.
    Nothing { count: u32 },
    /// What a preempted sequence had: its first `full` blocks are worth something to it. They go from the last to the first.
    Remains { count: u32, full: u32 },
    /// A block of a prompt that others may have too, and how many use it now.
    Shared { hash: u64, users: u32 },
    /// The entry is not in use.
    Vacant { next: u32 },
}

impl Blocks {
    /// `total` blocks, all free.
    pub(super) fn new(total: u32) -> Self {
        let mut blocks =
            Self { total, free: 0, entries: Vec::new(), vacant: NONE, head: NONE, tail: NONE, by_hash: KeyMap::default() };
        blocks.give(total);
        blocks
    }

    /// Blocks that nobody uses, whether they hold something or not.
    pub(super) const fn free(&self) -> u32 {
        self.free
    }

    /// Blocks in use.
    pub(super) const fn used(&self) -> u32 {
        self.total - self.free
    }

    /// The block with this content, and whether it is free, so that using it makes one free block less.
    pub(super) fn find(&self, hash: u64) -> Option<(u32, bool)> {
        let entry = *self.by_hash.get(&hash)?;
        Some((entry, matches!(self.entries[entry as usize].content, Content::Shared { users: 0, .. })))
    }

    /// One more user of a block that was found.
    pub(super) fn share(&mut self, entry: u32) {
        let Content::Shared { users, .. } = &mut self.entries[entry as usize].content else { return };
        *users += 1;
        if *users == 1 {
            self.free -= 1;
            self.unlink(entry);
        }
    }

    /// Takes `count` free blocks for new content; what they held is forgotten. There must be as many.
    pub(super) fn take(&mut self, count: u32) {
        debug_assert!(count <= self.free, "{count} blocks of {}", self.free);
        self.free -= count;
        let mut left = count;
        while left > 0 {
            let entry = self.head;
            match &mut self.entries[entry as usize].content {
                Content::Nothing { count } | Content::Remains { count, .. } if *count > left => {
                    *count -= left;
                    left = 0;
                }
                Content::Nothing { count } => {
                    left -= *count;
                    self.unlink(entry);
                    self.vacate(entry);
                }
                // The entry stays, empty, because the sequence will ask for it.
                Content::Remains { count, .. } => {
                    left -= *count;
                    *count = 0;
                    self.unlink(entry);
                }
                Content::Shared { hash, .. } => {
                    left -= 1;
                    let hash = *hash;
                    self.by_hash.remove(&hash);
                    self.unlink(entry);
                    self.vacate(entry);
                }
                Content::Vacant { .. } => return,
            }
        }
    }

    /// Says that one of the blocks taken now holds what `hash` names. [`NONE`] if another block holds it already: this one is private.
    pub(super) fn publish(&mut self, hash: u64) -> u32 {
        if self.by_hash.contains_key(&hash) {
            return NONE;
        }
        let entry = self.occupy(Content::Shared { hash, users: 1 });
        self.by_hash.insert(hash, entry);
        entry
    }

    /// One user less of a block that was shared or published; [`NONE`] is a private one.
    pub(super) fn release(&mut self, entry: u32) {
        if entry == NONE {
            return self.give(1);
        }
        let Content::Shared { users, .. } = &mut self.entries[entry as usize].content else { return };
        *users -= 1;
        if *users == 0 {
            self.free += 1;
            self.link_last(entry);
        }
    }

    /// Gives back `count` blocks that hold nothing that anybody will ask for.
    pub(super) fn give(&mut self, count: u32) {
        if count == 0 {
            return;
        }
        self.free += count;
        if let Some(Entry { content: Content::Nothing { count: last }, .. }) = self.entries.get_mut(self.tail as usize) {
            *last += count;
            return;
        }
        let entry = self.occupy(Content::Nothing { count });
        self.link_last(entry);
    }

    /// Gives back `count` blocks of a sequence that will come again; the first `full` of them are complete. The entry is for
    /// [`left`](Self::left) and must end in [`reclaim`](Self::reclaim).
    pub(super) fn leave_behind(&mut self, count: u32, full: u32) -> u32 {
        let entry = self.occupy(Content::Remains { count, full });
        self.free += count;
        if count > 0 {
            self.link_last(entry);
        }
        entry
    }

    /// How many complete blocks are left of what was left behind.
    pub(super) fn left(&self, entry: u32) -> u32 {
        match self.entries[entry as usize].content {
            Content::Remains { count, full } => count.min(full),
            _ => 0,
        }
    }

    /// Takes the first `count` blocks of what was left behind; the others hold nothing any more.
    pub(super) fn reclaim(&mut self, entry: u32, count: u32) {
        let Content::Remains { count: present, .. } = self.entries[entry as usize].content else { return };
        self.free -= count;
        if present > count {
            self.entries[entry as usize].content = Content::Nothing { count: present - count };
            return;
        }
        if present > 0 {
            self.unlink(entry);
        }
        self.vacate(entry);
    }

    fn occupy(&mut self, content: Content) -> u32 {
        let fresh = Entry { before: NONE, after: NONE, content };
        let entry = self.vacant;
        if let Some(Entry { content: Content::Vacant { next }, .. }) = self.entries.get(entry as usize) {
            self.vacant = *next;
            self.entries[entry as usize] = fresh;
            return entry;
        }
        self.entries.push(fresh);
        (self.entries.len() - 1) as u32
    }

    fn vacate(&mut self, entry: u32) {
        self.entries[entry as usize].content = Content::Vacant { next: self.vacant };
        self.vacant = entry;
    }

    fn link_last(&mut self, entry: u32) {
        let before = std::mem::replace(&mut self.tail, entry);
        self.entries[entry as usize].before = before;
        self.entries[entry as usize].after = NONE;
        match self.entries.get_mut(before as usize) {
            Some(before) => before.after = entry,
            None => self.head = entry,
        }
    }

    fn unlink(&mut self, entry: u32) {
        let Entry { before, after, .. } = self.entries[entry as usize];
        match self.entries.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => self.head = after,
        }
        match self.entries.get_mut(after as usize) {
            Some(after) => after.before = before,
            None => self.tail = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_that_was_given_back_first_is_used_first() {
        let mut blocks = Blocks::new(3);
        blocks.take(3);
        let entries = [7, 8, 9].map(|hash| blocks.publish(hash));
        assert_eq!((blocks.free(), blocks.used()), (0, 3));
        for entry in [entries[1], entries[0], entries[2]] {
            blocks.release(entry);
        }
        blocks.take(1);
        assert_eq!(blocks.find(8), None);
        blocks.take(1);
        assert_eq!(blocks.find(7), None);
        assert!(matches!(blocks.find(9), Some((_, true))));
    }

    #[test]
    fn a_shared_block_is_free_when_its_last_user_has_gone() {
        let mut blocks = Blocks::new(2);
        blocks.take(1);
        let entry = blocks.publish(5);
        assert_eq!(blocks.find(5), Some((entry, false)));
        blocks.share(entry);
        blocks.release(entry);
        assert_eq!((blocks.find(5), blocks.free()), (Some((entry, false)), 1));
        blocks.release(entry);
        assert_eq!((blocks.find(5), blocks.free()), (Some((entry, true)), 2));
        blocks.share(entry);
        assert_eq!((blocks.find(5), blocks.free()), (Some((entry, false)), 1));
        assert_eq!(blocks.publish(5), NONE);
    }

    #[test]
    fn what_is_left_behind_goes_from_the_last_block_to_the_first() {
        let mut blocks = Blocks::new(10);
        blocks.take(10);
        blocks.give(1);
        let remains = blocks.leave_behind(6, 5);
        assert_eq!(blocks.left(remains), 5);
        blocks.take(4);
        assert_eq!(blocks.left(remains), 3);
        blocks.reclaim(remains, 2);
        assert_eq!((blocks.free(), blocks.used()), (1, 9));
        blocks.take(1);
        assert_eq!(blocks.free(), 0);
    }

    #[test]
    fn what_was_left_behind_may_be_gone() {
        let mut blocks = Blocks::new(4);
        blocks.take(4);
        let remains = blocks.leave_behind(3, 3);
        blocks.take(3);
        assert_eq!(blocks.left(remains), 0);
        blocks.reclaim(remains, 0);
        blocks.give(4);
        assert_eq!(blocks.free(), 4);
    }
}
