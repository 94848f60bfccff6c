//! What a plugin must not do, each deed by number.

use crate::{log, request};

/// Does deed `number`; those that end leave no trace in the answer.
pub(crate) fn commit(number: u64) {
    match number {
        1 => println!("hello from the guest\x1b[2J"),
        2 => panic!("the dog ate my plan"),
        3 => spin(),
        4 => eat_memory(),
        5 => {
            std::hint::black_box(recurse(1));
        }
        6 => core::arch::wasm32::unreachable(),
        7 => (0..2_000).for_each(|i| log::write(log::Level::Info, &format!("line {i}"))),
        8 => std::process::exit(3),
        9 => (0..u64::MAX).for_each(|_| {
            std::hint::black_box(request::body());
        }),
        10 => eprintln!("a complaint without a panic"),
        11 => work(3_000_000),
        12 => grow_until_refused(),
        13 => {
            std::hint::black_box(recurse_in_memory(1));
        }
        14 => work(6_000_000),
        _ => {}
    }
}

/// Never returns.
pub(crate) fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count).wrapping_add(1);
    }
}

/// A number that the standard library's hash maps are keyed by: random on a real system.
pub(crate) fn hash_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// A text that claims `bytes` bytes of which few exist. The host reads the length and has to refuse before it reads the bytes.
pub(crate) fn text_of(bytes: usize) -> String {
    // SAFETY: none: the value is a lie, and it is the host's task not to believe it. It is never read or freed here, because the
    // call's result is handed over before the allocator sees it again.
    unsafe { String::from_raw_parts(std::ptr::dangling_mut::<u8>(), bytes, bytes) }
}

fn eat_memory() {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(vec![7; 1 << 20]);
        std::hint::black_box(&hoard);
    }
}

/// Asks for 4 GiB in the instruction itself and does not mind the refusal.
fn grow_until_refused() {
    assert_eq!(core::arch::wasm32::memory_grow(0, 65_535), usize::MAX, "the host gave 4 GiB");
}

/// Uses the stack that only the host sees.
#[allow(unconditional_recursion, clippy::only_used_in_recursion, reason = "that is the misdeed")]
fn recurse(depth: u64) -> u64 {
    recurse(depth + 1) ^ (recurse(depth + 2) >> 1)
}

/// Uses the stack inside the guest's memory, which ends first when frames are large.
#[allow(unconditional_recursion, reason = "that is the misdeed")]
fn recurse_in_memory(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    recurse_in_memory(depth + 1).wrapping_add(room[(depth % 64) as usize])
}

fn work(rounds: u64) {
    let sum = (0..rounds).fold(0_u64, |sum, i| std::hint::black_box(sum.wrapping_mul(31).wrapping_add(i)));
    std::hint::black_box(sum);
}
