//! Whether somebody still wants what is being done: for work that takes long and can be given up in the middle.
//!
//! Who wants it keeps the [`Hold`]; dropping that wakes whoever waits for the work beside.

use std::convert::Infallible;

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded, never};

/// Kept by who wants the work. Dropping it gives the work up.
#[derive(Debug)]
pub struct Hold {
    _held: Sender<Infallible>,
}

/// Looked at by who does the work.
#[derive(Debug, Clone)]
pub struct Interest(Receiver<Infallible>);

impl Interest {
    /// Interest that lasts as long as the hold.
    pub fn begin() -> (Hold, Self) {
        let (held, seen) = bounded(0);
        (Hold { _held: held }, Self(seen))
    }

    /// Interest that nobody takes back.
    pub fn for_ever() -> Self {
        Self(never())
    }

    /// Does somebody still want it?
    pub fn is_there(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Empty))
    }

    /// A channel that brings nothing and is closed when nobody wants it any more: to be waited for beside others.
    pub fn end(&self) -> &Receiver<Infallible> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interest_lasts_as_long_as_its_hold() {
        let (hold, interest) = Interest::begin();
        let other = interest.clone();
        assert!(interest.is_there() && other.is_there());
        let waiting = std::thread::spawn(move || other.end().recv());
        drop(hold);
        assert!(waiting.join().expect("no panic").is_err() && !interest.is_there());
        assert!(Interest::for_ever().is_there());
    }
}
