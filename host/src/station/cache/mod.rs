//! Keeps answers for a time, in levels of different size and speed.
