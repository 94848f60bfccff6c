//! Queues that can be left from the middle: doubly linked lists of small numbers (visitors, places in a `Vec`).
//!
//! The links of several lists lie in one [`Links`], indexed by the number, so that joining and leaving cost a few writes and no
//! allocation once the highest number has been seen. A number is in one list at a time; whoever uses this keeps track of which.

/// No number: the end of a list.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
}

/// The links of all numbers.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<Link>);

/// One list: its ends and its length.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    first: u32,
    last: u32,
    len: u32,
}

impl List {
    /// A list of nobody.
    pub(super) const EMPTY: Self = Self { first: NONE, last: NONE, len: 0 };

    /// Who has been in it longest.
    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// How many are in it.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Is nobody in it?
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts `member`, which is in no list, at the end.
    pub(super) fn push(&mut self, links: &mut Links, member: u32) {
        let index = member as usize;
        if index >= links.0.len() {
            links.0.resize(index + 1, Link { before: NONE, after: NONE });
        }
        links.0[index] = Link { before: self.last, after: NONE };
        match self.last {
            NONE => self.first = member,
            last => links.0[last as usize].after = member,
        }
        self.last = member;
        self.len += 1;
    }

    /// Takes `member`, which is in this list, out of it.
    pub(super) fn remove(&mut self, links: &mut Links, member: u32) {
        let Link { before, after } = links.0[member as usize];
        match before {
            NONE => self.first = after,
            before => links.0[before as usize].after = after,
        }
        match after {
            NONE => self.last = before,
            after => links.0[after as usize].before = before,
        }
        self.len -= 1;
    }

    /// Takes out who has been in it longest.
    pub(super) fn pop(&mut self, links: &mut Links) -> Option<u32> {
        let first = self.first()?;
        self.remove(links, first);
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_leave_from_both_ends_and_the_middle() {
        let (mut links, mut list) = (Links::default(), List::EMPTY);
        (0..6).for_each(|member| list.push(&mut links, member));
        for member in [3, 0, 5] {
            list.remove(&mut links, member);
        }
        list.push(&mut links, 3);
        assert_eq!(list.len(), 4);
        assert_eq!(std::iter::from_fn(|| list.pop(&mut links)).collect::<Vec<_>>(), [1, 2, 4, 3]);
        assert!(list.is_empty() && list.first().is_none());
    }

    #[test]
    fn two_lists_share_their_links() {
        let mut links = Links::default();
        let (mut even, mut odd) = (List::EMPTY, List::EMPTY);
        (0..6).for_each(|member| if member % 2 == 0 { even.push(&mut links, member) } else { odd.push(&mut links, member) });
        even.remove(&mut links, 2);
        odd.push(&mut links, 2);
        assert_eq!(std::iter::from_fn(|| even.pop(&mut links)).collect::<Vec<_>>(), [0, 4]);
        assert_eq!(std::iter::from_fn(|| odd.pop(&mut links)).collect::<Vec<_>>(), [1, 3, 5, 2]);
    }
}
