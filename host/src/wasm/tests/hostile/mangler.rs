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

/// `bytes`, a component, with its sections in disorder: one to four times one is left out, doubled or put elsewhere, as `seed` says. Most
/// are no components any more, but each part of them is sound, so they get further than spoilt bytes do.
pub(super) fn disordered(bytes: &[u8], seed: u64) -> Vec<u8> {
    let (head, rest) = bytes.split_at(8);
    let mut sections = sections(rest);
    let mut draws = Key::of_seed(seed).named("disorder").stream();
    for _ in 0..=draws.below(3) {
        let at = draws.below(sections.len() as u32) as usize;
        let section = sections[at];
        let elsewhere = draws.below(sections.len() as u32) as usize;
        match draws.below(3) {
            0 if sections.len() > 1 => drop(sections.remove(at)),
            1 => sections.insert(elsewhere, section),
            _ => sections.swap(at, elsewhere),
        }
    }
    [head, &sections.concat()].concat()
}

/// The sections of a component after its head, each with its number and length.
fn sections(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut sections = Vec::new();
    while rest.len() > 1 {
        let (mut length, mut shift, mut at) = (0, 0, 1);
        loop {
            let byte = rest[at];
            length |= usize::from(byte & 0x7f) << shift;
            (shift, at) = (shift + 7, at + 1);
            if byte < 0x80 {
                break;
            }
        }
        let (section, others) = rest.split_at(at + length);
        sections.push(section);
        rest = others;
    }
    sections
}
