//! English: its words, and the sentences they stand in.
//!
//! Every word is exactly one token in `o200k_base` and in `cl100k_base`, with its blank before it; [`crate::builtin::responder::style`]
//! tests that. Words and marks are separate tokens in any order that the sentences here allow, so n words are n tokens.

use crate::builtin::responder::style::language::{LONGEST, Language, Opening, SHORTEST, Sentence, Slot};

const THE: Opening = Opening {
    bare: &["The", "This", "That", "Each", "Every", "One", "Another", "Our", "The", "The"],
    spaced: &[" The", " This", " That", " Each", " Every", " One", " Another", " Our", " The", " The"],
};
const OFTEN: Opening = Opening {
    bare: &["Often", "Sometimes", "Usually", "However", "Today", "Indeed", "Instead", "Finally", "Still", "Perhaps"],
    spaced: &[" Often", " Sometimes", " Usually", " However", " Today", " Indeed", " Instead", " Finally", " Still", " Perhaps"],
};
const WHEN: Opening = Opening {
    bare: &["When", "If", "Because", "While", "After", "Before", "Although", "Since"],
    spaced: &[" When", " If", " Because", " While", " After", " Before", " Although", " Since"],
};
const THINGS: Opening = Opening {
    bare: &["People", "Things", "Users", "Results", "Systems", "Teams", "Models", "Questions"],
    spaced: &[" People", " Things", " Users", " Results", " Systems", " Teams", " Models", " Questions"],
};

const D: Slot = &[" the", " the", " the", " this", " that", " each", " every", " one", " another", " our", " its", " their"];
const A: Slot = &[
    " new", " old", " small", " large", " simple", " common", " early", " late", " open", " clear", " local", " public", " good",
    " strong", " quick", " quiet", " careful", " final", " first", " second", " general", " usual", " whole", " central",
    " real",
];
const N: Slot = &[
    " answer",
    " question",
    " system",
    " model",
    " service",
    " team",
    " reader",
    " city",
    " river",
    " road",
    " market",
    " plan",
    " report",
    " record",
    " message",
    " request",
    " signal",
    " window",
    " machine",
    " garden",
    " story",
    " number",
    " table",
    " change",
    " problem",
    " reason",
    " method",
    " result",
    " measure",
    " pattern",
    " network",
    " library",
    " teacher",
    " engine",
    " company",
    " process",
    " project",
    " version",
    " example",
    " detail",
];
const P: Slot = &[
    " people",
    " answers",
    " questions",
    " systems",
    " models",
    " services",
    " teams",
    " readers",
    " cities",
    " roads",
    " markets",
    " plans",
    " reports",
    " records",
    " messages",
    " requests",
    " signals",
    " windows",
    " machines",
    " numbers",
    " changes",
    " problems",
    " methods",
    " results",
    " details",
    " examples",
];
const T: Slot = &[
    " follows",
    " changes",
    " shows",
    " reaches",
    " supports",
    " needs",
    " keeps",
    " finds",
    " gives",
    " makes",
    " takes",
    " explains",
    " describes",
    " improves",
    " requires",
    " creates",
    " carries",
    " holds",
    " meets",
    " protects",
    " replaces",
];
const I: Slot = &[
    " works",
    " helps",
    " changes",
    " remains",
    " continues",
    " begins",
    " ends",
    " returns",
    " grows",
    " moves",
    " matters",
    " appears",
    " waits",
    " stops",
    " improves",
    " fails",
];
const W: Slot = &[" work", " help", " change", " remain", " continue", " begin", " end", " return", " grow", " move", " matter"];
const R: Slot = &[
    " again",
    " today",
    " slowly",
    " quickly",
    " often",
    " together",
    " later",
    " early",
    " well",
    " once",
    " quietly",
    " soon",
];
const O: Slot = &[
    " of", " for", " in", " with", " from", " near", " behind", " under", " after", " before", " without", " through",
    " between", " inside", " beyond", " across",
];
const B: Slot = &[" and", " but", " so", " while", " because", " although", " since", " yet"];
const AND: Slot = &[" and", " or"];
const C: Slot = &[","];

/// Adjectives, for texts other than sentences; each begins with a blank.
pub(in crate::builtin::responder) const ADJECTIVES: Slot = A;
/// Nouns, for texts other than sentences; each begins with a blank.
pub(in crate::builtin::responder) const NOUNS: Slot = N;

/// English.
pub(super) fn language() -> Language {
    let of = |(opening, rest): &(Opening, &'static [Slot])| Sentence { opening: *opening, rest: rest.to_vec() };
    Language {
        code: "en",
        sentences: SENTENCES.iter().map(|group| group.iter().map(of).collect()).collect(),
        lone: "Yes",
        stops: [".", ".\n", ".\n\n"],
        nouns: N,
        adjectives: A,
        title: &[A, N],
        greeting: &[&["Sure", "Great", "Absolutely", "Thanks"], &["!"]],
    }
}

const fn sentence(opening: Opening, rest: &'static [Slot]) -> (Opening, &'static [Slot]) {
    (opening, rest)
}

/// All sentences by length: entry k has those of `SHORTEST + k` tokens, full stop included.
const SENTENCES: [&[(Opening, &[Slot])]; (LONGEST - SHORTEST + 1) as usize] = [
    &[sentence(OFTEN, &[])],
    &[sentence(THINGS, &[W])],
    &[sentence(THE, &[N, I]), sentence(THINGS, &[W, R])],
    &[sentence(THE, &[A, N, I]), sentence(THE, &[N, I, R])],
    &[sentence(THE, &[N, T, D, N]), sentence(OFTEN, &[C, D, N, I])],
    &[sentence(THE, &[A, N, T, D, N]), sentence(THE, &[N, T, D, A, N]), sentence(OFTEN, &[C, D, A, N, I])],
    &[sentence(THE, &[A, N, T, D, A, N]), sentence(OFTEN, &[C, D, N, T, D, N]), sentence(THE, &[N, T, P, AND, P, R])],
    &[sentence(THE, &[N, T, D, N, O, D, N]), sentence(THE, &[N, O, D, N, T, A, P])],
    &[sentence(THE, &[A, N, T, D, N, O, D, N]), sentence(OFTEN, &[C, D, A, N, T, D, A, N])],
    &[
        sentence(WHEN, &[D, N, I, C, D, N, T, D, N]),
        sentence(THE, &[N, T, P, C, P, AND, P, O, P]),
        sentence(THE, &[A, N, T, D, A, N, O, D, N]),
    ],
    &[sentence(WHEN, &[D, A, N, I, C, D, N, T, D, N]), sentence(THE, &[N, O, D, N, T, D, N, O, A, P])],
    &[sentence(WHEN, &[D, N, T, D, N, C, D, N, T, D, N]), sentence(THE, &[N, O, D, A, N, T, D, N, O, D, N])],
    &[sentence(THE, &[N, T, D, N, O, D, N, C, B, D, N, I]), sentence(OFTEN, &[C, D, N, O, D, N, T, D, N, O, D, N])],
    &[sentence(THE, &[A, N, T, D, N, O, D, N, C, B, D, N, I]), sentence(WHEN, &[D, A, N, T, D, N, C, D, A, N, T, D, N])],
    &[sentence(THE, &[N, T, D, N, O, D, N, C, B, D, N, T, D, N]), sentence(WHEN, &[D, N, O, D, N, I, C, D, A, N, T, D, A, N])],
    &[sentence(THE, &[A, N, T, D, N, O, D, N, C, B, D, N, T, D, N])],
    &[sentence(WHEN, &[D, N, T, D, A, N, O, D, N, C, D, N, T, P, AND, P])],
];
