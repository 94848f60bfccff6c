//! A bounded queue before a limited number of places.
