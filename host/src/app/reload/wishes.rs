//! Who waits for which component, so that the compiler does nothing that nobody wants any more.
//!
//! Saved files are looked at again and again, and only the newest look counts. What an older one waits for is given up as soon as the
//! newest is known not to need it; what both need is compiled once. Changes by hand wait until they have it. A server that stops wants
//! nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::change::Change;
use crate::interest::{Hold, Interest};
use crate::wasm::PluginKey;

/// All changes that are under way.
#[derive(Default)]
pub(super) struct Wishes(Mutex<State>);

#[derive(Default)]
struct State {
    /// How many changes have begun.
    begun: u64,
    /// The number of the newest look.
    newest_look: u64,
    wishes: Vec<Wish>,
    is_closed: bool,
}

struct Wish {
    /// The number of the change.
    number: u64,
    by: By,
    key: PluginKey,
    _hold: Hold,
}

/// What kind of change it is.
#[derive(Clone, PartialEq, Eq)]
enum By {
    /// A look at saved files.
    Look,
    /// A followed plugin.
    Offer(String),
    Hand,
}

/// A change that is under way. Dropping it gives up what it waits for.
pub(super) struct UnderWay<'a> {
    wishes: &'a Wishes,
    number: u64,
    by: By,
}

impl Wishes {
    /// `change` begins.
    pub(super) fn begin(&self, change: &Change) -> UnderWay<'_> {
        let by = match change {
            Change::Saved(_) => By::Look,
            Change::Offered { name } => By::Offer(name.clone()),
            _ => By::Hand,
        };
        let mut state = self.state();
        state.begun += 1;
        let number = state.begun;
        if by == By::Look {
            state.newest_look = number;
        }
        UnderWay { wishes: self, number, by }
    }

    /// The followed plugin called `name` has changed: what waits for its older component is given up.
    pub(super) fn give_up(&self, name: &str) {
        self.state().wishes.retain(|wish| !matches!(&wish.by, By::Offer(offered) if offered == name));
    }

    /// Nobody wants anything any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.wishes.clear();
    }

    /// Is everything given up?
    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_wanted(&self, number: u64, by: &By) -> bool {
        !self.is_closed && (*by != By::Look || number == self.newest_look)
    }

    /// The newest look needs the components `keys`: what older ones wait for besides is given up.
    fn outdate(&mut self, number: u64, keys: &[PluginKey]) {
        if number == self.newest_look {
            self.wishes.retain(|wish| wish.by != By::Look || wish.number == number || keys.contains(&wish.key));
        }
    }
}

impl UnderWay<'_> {
    /// Is the change still wanted?
    pub(super) fn is_wanted(&self) -> bool {
        self.wishes.state().is_wanted(self.number, &self.by)
    }

    /// The change needs the components `keys`, and these besides: interest in each of them, which may be lost already.
    pub(super) fn wait_for(&self, keys: &[PluginKey]) -> Vec<Interest> {
        let mut state = self.wishes.state();
        state.outdate(self.number, keys);
        let is_wanted = state.is_wanted(self.number, &self.by);
        let mut interests = Vec::with_capacity(keys.len());
        for key in keys {
            let (hold, interest) = Interest::begin();
            interests.push(interest);
            if is_wanted {
                state.wishes.push(Wish { number: self.number, by: self.by.clone(), key: key.clone(), _hold: hold });
            }
        }
        interests
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.wishes.state();
        state.wishes.retain(|wish| wish.number != self.number);
        state.outdate(self.number, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm::LoadSpec;

    fn keys<const N: usize>(names: [&str; N]) -> [PluginKey; N] {
        names.map(|name| PluginKey::of(&LoadSpec::new(name, &[])))
    }

    fn saved() -> Change {
        Change::Saved(Vec::new())
    }

    #[test]
    fn an_older_look_keeps_only_what_the_newest_needs_too() {
        let wishes = Wishes::default();
        let [both, old, new] = keys(["both", "old", "new"]);
        let first = wishes.begin(&saved());
        let interests = first.wait_for(&[both.clone(), old]);
        let by_hand = wishes.begin(&Change::Files);
        let other = by_hand.wait_for(std::slice::from_ref(&new));
        let second = wishes.begin(&saved());
        assert!(!first.is_wanted() && interests.iter().all(Interest::is_there), "nobody knows yet what the second needs");
        let needed = second.wait_for(&[both, new]);
        assert_eq!(interests.iter().map(Interest::is_there).collect::<Vec<_>>(), [true, false]);
        drop(second);
        assert!(!interests[0].is_there() && !needed[0].is_there(), "the newest look has ended");
        assert!(other[0].is_there() && by_hand.is_wanted());
        assert!(!first.wait_for(&keys(["late"]))[0].is_there());
    }

    #[test]
    fn a_followed_plugin_that_changes_gives_up_its_own_and_a_server_that_stops_everything() {
        let wishes = Wishes::default();
        let offer = |name: &str| wishes.begin(&Change::Offered { name: name.to_owned() });
        let (one, two) = (offer("one"), offer("two"));
        let of = |change: &UnderWay<'_>| change.wait_for(&keys(["x"])).remove(0);
        let (first, second) = (of(&one), of(&two));
        wishes.give_up("one");
        assert!(!first.is_there() && second.is_there());
        wishes.close();
        assert!(!second.is_there() && !two.is_wanted() && !of(&two).is_there());
    }
}
