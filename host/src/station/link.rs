//! A network path: latency, bandwidth, loss.
