//! A bounded number of connections, with a share for writes.
