//! The file as written: its values and the place of each.

use std::collections::HashMap;

use serde_json::Value;

use crate::types::problem::{Place, Problem};

/// A scenario file as written.
#[derive(Debug, Default)]
pub struct Source {
    /// The file's name as the person gave it.
    pub file: String,
    /// Its values.
    pub value: Value,
    /// JSON pointer → line and column, from 1, of every value and (for maps) its key.
    pub places: HashMap<String, (u32, u32)>,
}

impl Source {
    /// `problem` with the place of its pointer, or of the nearest value around it.
    pub fn locate(&self, mut problem: Problem) -> Problem {
        let mut pointer = problem.pointer.as_str();
        loop {
            if let Some(&(line, column)) = self.places.get(pointer) {
                problem.place = Some(Place { file: self.file.clone(), line, column });
                return problem;
            }
            match pointer.rfind('/') {
                Some(end) => pointer = &pointer[..end],
                None => return problem,
            }
        }
    }
}
