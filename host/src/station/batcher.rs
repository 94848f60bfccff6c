//! Gathers visitors until there are enough or the first has waited long enough.
