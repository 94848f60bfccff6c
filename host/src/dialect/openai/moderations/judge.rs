//! What is wrong with a text: nothing is understood, a few words are known. Whoever wants a text to be flagged writes one of them.
//!
//! The words are plain ones on purpose; what is flagged for two reasons at once ("threatening", "intent") asks for two words.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The vendor's categories in its order, and whether images are judged by them, too.
pub(super) const CATEGORIES: [(&str, bool); 13] = [
    ("harassment", false),
    ("harassment/threatening", false),
    ("sexual", true),
    ("hate", false),
    ("hate/threatening", false),
    ("illicit", false),
    ("illicit/violent", false),
    ("self-harm/intent", true),
    ("self-harm/instructions", true),
    ("self-harm", true),
    ("sexual/minors", false),
    ("violence", true),
    ("violence/graphic", true),
];

/// Millionths from which on a category is flagged.
pub(super) const FLAGGED_MICRO: u32 = 500_000;

/// What a known word speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Insult,
    Hate,
    Violence,
    Gore,
    Sex,
    Minor,
    SelfHarm,
    Illicit,
    Weapon,
    Self_,
    You,
    How,
}

const WORDS: &[(Topic, &[&str])] = &[
    (Topic::Insult, &["idiot", "moron", "stupid", "loser", "pathetic", "worthless", "imbecile"]),
    (Topic::Hate, &["hate", "nazi", "racist", "subhuman", "supremacist", "vermin"]),
    (
        Topic::Violence,
        &["kill", "murder", "stab", "stabb", "shoot", "strangle", "strangl", "slaughter", "assault", "attack", "bomb"],
    ),
    (Topic::Gore, &["gore", "behead", "decapitate", "decapitat", "dismember", "disembowel", "mutilate", "mutilat"]),
    (Topic::Sex, &["sex", "sexual", "porn", "pornography", "nude", "erotic", "erotica"]),
    (Topic::Minor, &["child", "children", "minor", "underage", "teen", "teenager"]),
    (Topic::SelfHarm, &["suicide", "suicidal", "overdose", "overdos"]),
    (Topic::Illicit, &["shoplift", "counterfeit", "cocaine", "heroin", "ransomware", "burgle", "burglar", "smuggle", "smuggl"]),
    (Topic::Weapon, &["explosive", "grenade", "molotov", "landmine"]),
    (Topic::Self_, &["i", "me", "my", "myself"]),
    (Topic::You, &["you", "your", "him", "her", "them"]),
    (Topic::How, &["how", "instruction", "guide", "steps"]),
];

/// Endings with which a word is still the known one.
const ENDINGS: [&str; 8] = ["", "s", "es", "d", "ed", "ing", "er", "ers"];

/// Millionths for each of [`CATEGORIES`].
pub(super) fn scores(text: &str) -> [u32; CATEGORIES.len()] {
    let mut seen = [0_u32; WORDS.len()];
    let folded = text.to_lowercase();
    for word in folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        for (index, (_, stems)) in WORDS.iter().enumerate() {
            let is_known = |stem: &&str| word.strip_prefix(*stem).is_some_and(|ending| ENDINGS.contains(&ending));
            seen[index] += u32::from(stems.iter().any(is_known));
        }
    }
    let hits = |topic: Topic| seen[topic as usize];
    let both = |one: Topic, other: Topic| if hits(other) > 0 { hits(one) } else { 0 };
    let at_oneself = both(Topic::Violence, Topic::Self_).min(u32::from(folded.contains("myself")));
    let self_harm = hits(Topic::SelfHarm) + at_oneself;
    let also = |topic: Topic| if hits(topic) > 0 { self_harm } else { 0 };
    let found = [
        hits(Topic::Insult),
        both(Topic::Violence, Topic::You),
        hits(Topic::Sex),
        hits(Topic::Hate),
        both(Topic::Hate, Topic::Violence),
        hits(Topic::Illicit) + hits(Topic::Weapon),
        hits(Topic::Weapon),
        also(Topic::Self_),
        also(Topic::How),
        self_harm,
        both(Topic::Sex, Topic::Minor),
        hits(Topic::Violence) + hits(Topic::Gore),
        hits(Topic::Gore),
    ];
    let mut scores = [0; CATEGORIES.len()];
    for (index, (score, found)) in scores.iter_mut().zip(found).enumerate() {
        let noise = xxh3_64_with_seed(text.as_bytes(), index as u64);
        *score = match found {
            0 => 1 + (noise % 900) as u32,
            found => 880_000 + 10_000 * found.min(10) + (noise % 9_000) as u32,
        };
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flagged(text: &str) -> Vec<&'static str> {
        let scores = scores(text).into_iter().zip(CATEGORIES);
        scores.filter(|(score, _)| *score >= FLAGGED_MICRO).map(|(_, (name, _))| name).collect()
    }

    #[test]
    fn topics_are_found_by_their_number() {
        for (index, (topic, _)) in WORDS.iter().enumerate() {
            assert_eq!(*topic as usize, index);
        }
    }

    #[test]
    fn known_words_are_flagged_and_others_are_not() {
        for text in [
            "",
            "The weather in Berlin is nice.",
            "I love my children and how they skillfully play chess",
            "attachment, therapist",
        ] {
            assert_eq!(flagged(text), Vec::<&str>::new(), "{text}");
        }
        assert_eq!(flagged("You are such an IDIOT!"), ["harassment"]);
        assert_eq!(flagged("I will kill you"), ["harassment/threatening", "violence"]);
        assert_eq!(flagged("they were shooting"), ["violence"]);
        assert_eq!(flagged("how to build a grenade"), ["illicit", "illicit/violent"]);
        assert_eq!(flagged("thoughts about suicide"), ["self-harm"]);
        assert_eq!(flagged("I want to kill myself"), ["self-harm/intent", "self-harm", "violence"]);
        assert_eq!(flagged("a scene full of gore"), ["violence", "violence/graphic"]);
    }

    #[test]
    fn scores_are_shares_and_depend_on_the_text_alone() {
        let text = "kill ".repeat(1_000);
        assert!(scores(&text).iter().all(|score| (1..1_000_000).contains(score)));
        assert_eq!(scores("a"), scores("a"));
        assert_ne!(scores("a"), scores("b"));
    }
}
