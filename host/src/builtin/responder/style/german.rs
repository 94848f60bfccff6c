//! German: its words and its grammar.

use crate::builtin::responder::style::language::{Grammar, Language, Opening, Slot};

// Feminine nouns have one form for subject and object, and so do their articles and adjectives: what stands here is grammatical in
// every combination.
const DIE: Opening = Opening { bare: &["Die", "Diese", "Eine", "Unsere"], spaced: &[" Die", " Diese", " Eine", " Unsere"] };
const DER: Opening = Opening { bare: &["Der", "Dieser"], spaced: &[" Der", " Dieser"] };
const HEUTE: Opening = Opening { bare: &["Heute", "Hier", "Jetzt"], spaced: &[" Heute", " Hier", " Jetzt"] };
const WENN: Opening = Opening { bare: &["Wenn", "Während"], spaced: &[" Wenn", " Während"] };
const JA: Opening = Opening { bare: &["Ja", "Gut"], spaced: &[" Ja", " Gut"] };
const DAS: Opening = Opening { bare: &["Das", "Es"], spaced: &[" Das", " Es"] };
const ART: Slot = &[" die", " die", " eine", " diese", " jede", " unsere", " seine", " ihre"];
const ART_DAT: Slot = &[" der", " der", " einer", " dieser", " jeder", " unserer"];
const DER_N: Slot = &[" der", " dieser", " jeder"];
const NF: Slot = &[
    " Antwort",
    " Frage",
    " Anfrage",
    " Stadt",
    " Straße",
    " Lösung",
    " Methode",
    " Regel",
    " Seite",
    " Liste",
    " Gruppe",
    " Firma",
    " Arbeit",
    " Zahl",
    " Nachricht",
    " Version",
    " Funktion",
    " Maschine",
    " Analyse",
    " Struktur",
    " Verbindung",
    " Änderung",
    " Sprache",
    " Geschichte",
    " Anwendung",
    " Leistung",
    " Planung",
    " Suche",
    " Karte",
    " Grenze",
    " Ordnung",
    " Idee",
    " Aufgabe",
    " Entwicklung",
    " Technik",
    " Form",
    " Schule",
    " Reihe",
    " Stelle",
];
const NM: Slot = &[
    " Dienst", " Server", " Plan", " Bericht", " Text", " Markt", " Wert", " Fehler", " Weg", " Prozess", " Kunde", " Nutzer",
    " Platz", " Test", " Vertrag", " Bereich", " Artikel",
];
const A: Slot = &[
    " neue",
    " kleine",
    " große",
    " gute",
    " alte",
    " einfache",
    " klare",
    " lange",
    " kurze",
    " erste",
    " letzte",
    " zweite",
    " ganze",
    " wichtige",
    " schnelle",
    " lokale",
    " starke",
    " aktuelle",
    " offene",
    " richtige",
    " moderne",
];
const A_DAT: Slot =
    &[" neuen", " kleinen", " großen", " guten", " alten", " ersten", " letzten", " ganzen", " wichtigen", " anderen"];
const T: Slot = &[
    " zeigt",
    " braucht",
    " findet",
    " verbindet",
    " ersetzt",
    " verändert",
    " beschreibt",
    " erklärt",
    " nutzt",
    " enthält",
    " erreicht",
    " verbessert",
    " unterstützt",
    " bildet",
    " sucht",
    " ermöglicht",
    " benötigt",
];
const I: Slot = &[
    " funktioniert",
    " bleibt",
    " beginnt",
    " endet",
    " wächst",
    " hilft",
    " reicht",
    " fehlt",
    " wartet",
    " kommt",
    " läuft",
    " folgt",
    " entsteht",
];
const PREP: Slot = &[" mit", " aus", " nach", " in", " auf", " unter", " neben", " hinter", " vor"];
const R: Slot = &[
    " heute", " oft", " immer", " später", " wieder", " jetzt", " dort", " hier", " langsam", " schnell", " bald", " meist",
    " sofort",
];
const WEIL: Slot = &[" weil", " wenn", " obwohl", " während", " bevor", " damit", " falls"];
const DENN: Slot = &[" denn", " und", " aber"];
const C: Slot = &[","];

const GRAMMAR: Grammar = Grammar {
    cores: &[
        (JA, &[]),
        (DAS, &[I]),
        (DIE, &[NF, I]),
        (DER, &[NM, I]),
        (DIE, &[A, NF, I]),
        (DIE, &[NF, T, ART, NF]),
        (DER, &[NM, T, ART, NF]),
        (HEUTE, &[T, DER_N, NM, ART, NF]),
        (DER, &[A, NM, T, ART, A, NF]),
        (WENN, &[DER_N, NM, ART, NF, T, C, I, ART, NF]),
    ],
    tails: &[
        &[&[], &[R]],
        &[&[], &[PREP, ART_DAT, NF], &[PREP, ART_DAT, A_DAT, NF]],
        &[&[], &[C, WEIL, ART, NF, I], &[C, DENN, ART, A, NF, T, ART, NF]],
    ],
};

/// German.
pub(super) fn language() -> Language {
    Language {
        code: "de",
        sentences: GRAMMAR.sentences(),
        lone: "Ja",
        stops: [".", ".\n", ".\n\n"],
        nouns: NF,
        adjectives: A,
        title: &[A, NF],
        greeting: &[&["Ja", "Gut"], &["!"]],
    }
}
