//! Which worker the calling thread is. Workers are numbered from 0, so that parts can keep one slot a worker without a lock that
//! two threads ever fight for.

use std::cell::Cell;

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Makes the calling thread worker `index`.
pub fn enter(index: usize) {
    INDEX.with(|cell| cell.set(index));
}

/// The calling thread's number, or `None` if it is no worker.
pub fn current() -> Option<usize> {
    let index = INDEX.with(Cell::get);
    (index != usize::MAX).then_some(index)
}
