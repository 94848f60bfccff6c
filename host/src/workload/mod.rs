//! Who asks what and when: traffic, as a state machine that is told the time.
