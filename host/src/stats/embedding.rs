//! Texts as unit vectors: equal texts are equal, similar ones near, others far, and all of it the same on every machine.
//!
//! A text is the sum of its *features*: its words, its pairs of words, the runs of three letters in its words. Each feature goes, with
//! signs of its own, to a few places that its hash gives ("feature hashing", Weinberger et al. 2009). The places lie in ranges of growing
//! width, so that a short vector sees every feature, too, and is the beginning of a longer one, made a unit vector again: what vendors
//! promise of `dimensions`. A direction that all texts share fills the places between, as vectors of real models are dense and never
//! quite orthogonal.
//!
//! Only sums, products and square roots of doubles in a fixed order are used, which are the same everywhere.

use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::random::{Key, Stream};

/// Where a feature goes: the first so many places, as a power of two. A hash of 64 bits has just enough for all of them and their signs.
const RANGES: [u32; 6] = [4, 7, 10, 11, 12, 12];
/// The widest range: what lies behind it says nothing.
const PLACES: usize = 1 << 12;
/// What a feature weighs.
const WORD: f64 = 1.0;
const SHORT_WORD: f64 = 0.25;
const PAIR: f64 = 0.35;
const TRIGRAM: f64 = 0.3;
/// What the text as a whole weighs, so that no two texts are quite equal.
const WHOLE: f64 = 0.1;
/// Words of so many letters or fewer are mostly those that every text has.
const SHORT_WORD_LETTERS: usize = 3;
/// How long the shared direction is, the rest being 1: unrelated texts have a cosine of about its square.
const SHARED: f64 = 0.3;
/// What vectors are rounded to: written with so many decimals they are read back exactly.
pub const DECIMALS: usize = 8;

/// The direction that all texts share.
static COMMON: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let mut stream = Stream::of(Key::of_seed(0).named("embedding").bits());
    let mut common: Vec<f64> = (0..PLACES).map(|_| stream.unit() * 2.0 - 1.0).collect();
    scale_to(&mut common, SHARED);
    common
});

/// The vector of `text`, of so many dimensions and the length 1; empty for no dimensions. What comes after the 4096th dimension is 0.
pub fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f64; PLACES];
    let folded = text.to_lowercase();
    let mut before = None;
    for word in folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let is_short = word.chars().nth(SHORT_WORD_LETTERS).is_none();
        let hash = hash_of(word, 1);
        add(&mut sum, hash, if is_short { SHORT_WORD } else { WORD });
        if let Some(before) = before.replace(hash) {
            add(&mut sum, Key::of_seed(before).with(hash).bits(), PAIR);
        }
        trigrams(word, |hash| add(&mut sum, hash, TRIGRAM));
    }
    add(&mut sum, hash_of(text, 2), WHOLE);
    scale_to(&mut sum, 1.0);
    sum.iter_mut().zip(&*COMMON).for_each(|(sum, common)| *sum += common);
    sum.resize(dimensions, 0.0);
    scale_to(&mut sum, 1.0);
    let unit = f64::from(10_u32.pow(DECIMALS as u32));
    sum.into_iter().map(|value| ((value * unit).round() / unit) as f32).collect()
}

fn hash_of(text: &str, seed: u64) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), seed)
}

/// The runs of three characters in `word`, with a blank before it and one after.
fn trigrams(word: &str, mut found: impl FnMut(u64)) {
    let (mut one, mut two) = (u64::from(' '), 0);
    for (index, three) in word.chars().chain([' ']).map(u64::from).enumerate() {
        if index > 0 {
            found(Key::of_seed(one << 42 | two << 21 | three).bits());
            one = two;
        }
        two = three;
    }
}

/// Adds a feature.
fn add(sum: &mut [f64], mut hash: u64, weight: f64) {
    for bits in RANGES {
        let place = (hash & ((1 << bits) - 1)) as usize;
        let is_negative = hash >> bits & 1 == 1;
        hash >>= bits + 1;
        // Wide ranges are less crowded and say more, so their places weigh more.
        let weight = weight * f64::from(1_u32 << bits).sqrt();
        sum[place] += if is_negative { -weight } else { weight };
    }
}

/// Makes `vector` so long, unless it has no direction.
fn scale_to(vector: &mut [f64], wanted: f64) {
    let length = length(vector);
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value *= wanted / length);
    }
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cosine(one: &str, other: &str, dimensions: usize) -> f64 {
        let (one, other) = (embed(one, dimensions), embed(other, dimensions));
        one.iter().zip(&other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[test]
    fn similar_texts_are_nearer_than_others() {
        for dimensions in [256, 1_536, 3_072] {
            let near = [
                ("How do I reset my password?", "I want to reset my password"),
                ("The cat sits on the warm windowsill", "A cat is sitting on a windowsill"),
                ("quarterly revenue grew by twelve percent", "revenue growth in the quarter was twelve percent"),
                ("Wie wird das Wetter morgen in Berlin?", "Das Wetter in Berlin morgen"),
            ];
            for (one, other) in near {
                let far = cosine(one, "Boil the pasta in salted water until it is done.", dimensions);
                let near = cosine(one, other, dimensions);
                assert!(near > 0.35 && near > far + 0.2, "{dimensions}: {one:?} {other:?} {near:.3}, unrelated {far:.3}");
                assert!(far < 0.35, "{dimensions}: {one:?} {far:.3}");
            }
        }
    }

    #[test]
    fn order_counts_and_spelling_counts_a_little() {
        let other_order = cosine("the dog bites the man", "the man bites the dog", 1_536);
        assert!((0.8..0.999).contains(&other_order), "{other_order}");
        let other_case = cosine("Hello World", "hello world", 1_536);
        assert!((0.97..0.999_999).contains(&other_case), "{other_case}");
    }

    #[test]
    fn a_vector_is_known_to_the_last_bit() {
        // Another machine or another day must give the same.
        let vector = embed("The quick brown fox", 8);
        let shown: Vec<String> = vector.iter().map(|value| format!("{value:.8}")).collect();
        insta::assert_snapshot!(shown.join(" "), @"-0.02441902 0.65110737 0.62606907 0.14918490 0.24586707 0.23325127 -0.00626824 -0.21528643");
    }

    #[test]
    fn a_short_vector_is_the_beginning_of_a_long_one() {
        let long = embed("The same direction, only shorter", 3_072);
        for dimensions in [1, 64, 256, 1_536] {
            let short = embed("The same direction, only shorter", dimensions);
            let of_long: Vec<f64> = long[..dimensions].iter().map(|value| f64::from(*value)).collect();
            let cosine: f64 = short.iter().zip(&of_long).map(|(a, b)| f64::from(*a) * b).sum::<f64>() / length(&of_long);
            assert!((cosine - 1.0).abs() < 1e-5, "{dimensions}: {cosine}");
        }
    }

    #[test]
    fn there_is_a_vector_for_no_dimensions_and_for_no_text() {
        assert!(embed("text", 0).is_empty());
        assert!((cosine("", "", 16) - 1.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn any_text_gives_a_unit_vector_that_its_decimals_give_back(text in "(?s).{0,200}", dimensions in 1_usize..2_000) {
            let vector = embed(&text, dimensions);
            prop_assert_eq!(vector.len(), dimensions);
            let squares: f64 = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
            prop_assert!((squares - 1.0).abs() < 1e-5, "{}", squares);
            prop_assert_eq!(&embed(&text, dimensions), &vector);
            for value in vector {
                prop_assert_eq!(format!("{:.8}", f64::from(value)).parse::<f64>().unwrap() as f32, value);
            }
        }
    }
}
