//! The resolver against a small name server on loopback: what it answers is told apart as it should be.
