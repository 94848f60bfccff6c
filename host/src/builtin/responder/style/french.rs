//! French: its words and its grammar.

use crate::builtin::responder::style::language::{Grammar, Language, Opening, Slot};

// Nouns begin with a consonant, so that no article is ever cut short; adjectives have one form for both genders and stand behind.
const LA: Opening =
    Opening { bare: &["La", "Cette", "Chaque", "Une", "Notre"], spaced: &[" La", " Cette", " Chaque", " Une", " Notre"] };
const LE: Opening = Opening { bare: &["Le", "Ce", "Chaque", "Un", "Notre"], spaced: &[" Le", " Ce", " Chaque", " Un", " Notre"] };
const QUAND: Opening = Opening { bare: &["Quand", "Si"], spaced: &[" Quand", " Si"] };
const OUI: Opening = Opening { bare: &["Oui", "Bien"], spaced: &[" Oui", " Bien"] };
const CELA: Opening = Opening { bare: &["Cela"], spaced: &[" Cela"] };
const ART_F: Slot = &[" la", " la", " une", " cette", " chaque", " notre"];
const ART_M: Slot = &[" le", " le", " un", " ce", " chaque", " notre"];
const NF: Slot = &[
    " question",
    " réponse",
    " ville",
    " méthode",
    " règle",
    " page",
    " liste",
    " solution",
    " demande",
    " machine",
    " version",
    " fonction",
    " structure",
    " langue",
    " table",
    " route",
    " recherche",
    " mesure",
    " série",
    " ligne",
    " vie",
    " place",
    " partie",
    " société",
    " famille",
    " qualité",
    " période",
    " région",
];
const NM: Slot = &[
    " système",
    " service",
    " projet",
    " modèle",
    " texte",
    " message",
    " serveur",
    " problème",
    " marché",
    " réseau",
    " chemin",
    " plan",
    " livre",
    " moteur",
    " résultat",
    " rapport",
    " programme",
    " groupe",
    " client",
    " produit",
    " document",
    " travail",
    " monde",
    " code",
];
const A: Slot = &[
    " simple",
    " rapide",
    " stable",
    " unique",
    " utile",
    " libre",
    " moderne",
    " pratique",
    " possible",
    " célèbre",
    " solide",
    " juste",
    " facile",
    " normale",
];
const A_M: Slot = &[
    " simple",
    " rapide",
    " stable",
    " unique",
    " utile",
    " libre",
    " moderne",
    " pratique",
    " possible",
    " célèbre",
    " solide",
    " juste",
    " facile",
];
const T: Slot = &[
    " montre",
    " donne",
    " demande",
    " explique",
    " change",
    " trouve",
    " cherche",
    " garde",
    " permet",
    " présente",
    " reçoit",
    " propose",
    " décrit",
    " comprend",
    " porte",
    " suit",
    " contient",
    " utilise",
    " prend",
    " offre",
    " représente",
];
const I: Slot = &[
    " fonctionne",
    " reste",
    " commence",
    " continue",
    " arrive",
    " avance",
    " revient",
    " existe",
    " marche",
    " suffit",
    " passe",
    " termine",
];
const PREP: Slot = &[
    " dans",
    " avec",
    " pour",
    " sans",
    " sous",
    " sur",
    " vers",
    " après",
    " avant",
    " devant",
    " derrière",
    " par",
    " contre",
    " selon",
];
const R: Slot = &[
    " souvent",
    " toujours",
    " encore",
    " ensuite",
    " parfois",
    " bientôt",
    " vite",
    " ici",
    " maintenant",
    " ensemble",
    " rapidement",
    " bien",
    " aussi",
];
const QUAND_C: Slot = &[" quand", " lorsque", " mais", " car"];
const C: Slot = &[","];

const GRAMMAR: Grammar = Grammar {
    cores: &[
        (OUI, &[]),
        (CELA, &[I]),
        (LA, &[NF, I]),
        (LE, &[NM, I]),
        (LA, &[NF, A, I]),
        (LA, &[NF, T, ART_M, NM]),
        (LE, &[NM, T, ART_F, NF]),
        (LE, &[NM, A_M, T, ART_F, NF]),
        (LA, &[NF, A, T, ART_M, NM, A_M]),
        (QUAND, &[ART_F, NF, T, ART_M, NM, C, ART_F, NF, I]),
    ],
    tails: &[
        &[&[], &[R]],
        &[&[], &[PREP, ART_F, NF], &[PREP, ART_M, NM, A_M]],
        &[&[], &[C, QUAND_C, ART_F, NF, I], &[C, QUAND_C, ART_M, NM, T, ART_F, NF, A]],
    ],
};

/// French.
pub(super) fn language() -> Language {
    Language {
        code: "fr",
        sentences: GRAMMAR.sentences(),
        lone: "Oui",
        stops: [".", ".\n", ".\n\n"],
        nouns: NF,
        adjectives: A,
        title: &[NF, A],
        greeting: &[&["Oui", "Bien"], &[" !"]],
    }
}
