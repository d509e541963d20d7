//! Audits of DMARC records against a small name server.
