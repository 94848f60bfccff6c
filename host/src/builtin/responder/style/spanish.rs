//! Spanish: its words and its grammar.

use crate::builtin::responder::style::language::{Grammar, Language, Opening, Slot};

// Adjectives have one form for both genders and stand behind the noun.
const LA: Opening =
    Opening { bare: &["La", "Esta", "Cada", "Una", "Nuestra"], spaced: &[" La", " Esta", " Cada", " Una", " Nuestra"] };
const EL: Opening =
    Opening { bare: &["El", "Este", "Cada", "Un", "Nuestro"], spaced: &[" El", " Este", " Cada", " Un", " Nuestro"] };
const HOY: Opening = Opening { bare: &["Hoy", "Luego", "Ahora", "Siempre"], spaced: &[" Hoy", " Luego", " Ahora", " Siempre"] };
const CUANDO: Opening = Opening { bare: &["Cuando", "Si", "Aunque"], spaced: &[" Cuando", " Si", " Aunque"] };
const CLARO: Opening = Opening { bare: &["Claro", "Bien"], spaced: &[" Claro", " Bien"] };
const ESO: Opening = Opening { bare: &["Eso"], spaced: &[" Eso"] };
const ART_F: Slot = &[" la", " la", " una", " esta", " cada", " nuestra"];
const ART_M: Slot = &[" el", " el", " un", " este", " cada", " nuestro"];
const NF: Slot = &[
    " pregunta",
    " respuesta",
    " ciudad",
    " solución",
    " página",
    " lista",
    " red",
    " máquina",
    " función",
    " versión",
    " estructura",
    " historia",
    " parte",
    " línea",
    " mesa",
    " tarea",
    " regla",
    " empresa",
    " calle",
    " idea",
    " medida",
    " búsqueda",
    " forma",
    " persona",
    " casa",
    " zona",
];
const NM: Slot = &[
    " sistema",
    " servicio",
    " modelo",
    " proyecto",
    " problema",
    " mensaje",
    " texto",
    " camino",
    " plan",
    " proceso",
    " cambio",
    " grupo",
    " resultado",
    " mercado",
    " libro",
    " equipo",
    " trabajo",
    " producto",
    " motor",
    " cliente",
    " método",
    " punto",
    " valor",
    " servidor",
    " programa",
    " código",
];
const A: Slot = &[
    " simple",
    " importante",
    " útil",
    " local",
    " general",
    " central",
    " final",
    " principal",
    " posible",
    " actual",
    " normal",
    " diferente",
    " reciente",
    " fuerte",
    " libre",
    " común",
    " fácil",
];
const T: Slot = &[
    " muestra",
    " explica",
    " necesita",
    " encuentra",
    " cambia",
    " crea",
    " ofrece",
    " mantiene",
    " recibe",
    " describe",
    " mejora",
    " permite",
    " usa",
    " busca",
    " tiene",
    " sigue",
    " presenta",
    " lleva",
    " contiene",
    " requiere",
    " representa",
    " incluye",
];
const I: Slot =
    &[" funciona", " continúa", " empieza", " termina", " llega", " queda", " ayuda", " vuelve", " espera", " existe"];
const PREP: Slot = &[" en", " con", " para", " sin", " sobre", " desde", " hacia", " por", " tras", " ante", " contra", " según"];
const R: Slot =
    &[" hoy", " siempre", " luego", " ahora", " también", " pronto", " bien", " aquí", " después", " rápidamente", " todavía"];
const CUANDO_C: Slot = &[" cuando", " porque", " pero", " aunque"];
const C: Slot = &[","];

const GRAMMAR: Grammar = Grammar {
    cores: &[
        (CLARO, &[]),
        (ESO, &[I]),
        (LA, &[NF, I]),
        (EL, &[NM, I]),
        (LA, &[NF, A, I]),
        (LA, &[NF, T, ART_M, NM]),
        (EL, &[NM, T, ART_F, NF]),
        (HOY, &[ART_F, NF, T, ART_M, NM]),
        (EL, &[NM, A, T, ART_F, NF, A]),
        (CUANDO, &[ART_F, NF, T, ART_M, NM, C, ART_F, NF, I]),
    ],
    tails: &[
        &[&[], &[R]],
        &[&[], &[PREP, ART_F, NF], &[PREP, ART_M, NM, A]],
        &[&[], &[C, CUANDO_C, ART_F, NF, I], &[C, CUANDO_C, ART_M, NM, T, ART_F, NF, A]],
    ],
};

/// Spanish.
pub(super) fn language() -> Language {
    Language {
        code: "es",
        sentences: GRAMMAR.sentences(),
        lone: "Claro",
        stops: [".", ".\n", ".\n\n"],
        nouns: NF,
        adjectives: A,
        title: &[NF, A],
        greeting: &[&["Claro", "Bien"], &["!"]],
    }
}
