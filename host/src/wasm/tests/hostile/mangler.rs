//! Spoils good components in every way that a disk, a network or a person can.

use crate::random::Key;

/// `bytes` up to each 256th of them.
pub(super) fn cut_short(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..256).map(|part| &bytes[..bytes.len() * part / 256])
}

/// `bytes` with one bit turned, `times` times, each another one; which ones follows from `seed`. Gives the bit's number, too.
pub(super) fn turned(bytes: &[u8], seed: u64, times: u64) -> impl Iterator<Item = (u64, Vec<u8>)> {
    (0..times).map(move |time| {
        let bit = Key::of_seed(seed).with(time).bits() % (bytes.len() as u64 * 8);
        let mut spoilt = bytes.to_vec();
        spoilt[(bit / 8) as usize] ^= 1 << (bit % 8);
        (bit, spoilt)
    })
}

/// `bytes` with one text put in place of another of the same length, wherever it stands.
pub(super) fn patched(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut patched = bytes.to_vec();
    let places: Vec<_> = memchr::memmem::find_iter(bytes, from).collect();
    assert!(!places.is_empty(), "no `{from}` in it");
    places.into_iter().for_each(|at| patched[at..at + to.len()].copy_from_slice(to.as_bytes()));
    patched
}
