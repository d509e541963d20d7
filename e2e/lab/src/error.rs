//! What can go wrong in the lab, in words for the person or test that started it.

use std::io;

/// A failure of the lab itself, never a fault that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The mail ports are below 1024.
    #[error("the lab opens ports 25, 53, 443, 465 and 587, which needs root: start it as root or with sudo")]
    NotRoot,
    /// Another lab holds the slot.
    #[error("slot {0} is taken: another lab runs on 127.{0}.0.0/16")]
    SlotTaken(u8),
    /// Every slot is held.
    #[error("no slot from 10 to 250 is free")]
    NoSlot,
    /// A file or socket refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program of the lab failed.
    #[error("{program} failed: {detail}")]
    Program {
        /// Its name.
        program: String,
        /// What it printed.
        detail: String,
    },
    /// A part did not start.
    #[error("{error}{tails}")]
    Start {
        /// What went wrong.
        error: Box<LabError>,
        /// The end of the programs' logs.
        tails: String,
    },
    /// Something did not happen in time.
    #[error("gave up waiting for {0}")]
    Timeout(String),
    /// The call can not be carried out as it is.
    #[error("{0}")]
    Invalid(String),
    /// The call names something that is not there.
    #[error("no {0} in this lab")]
    NotFound(String),
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(String),
    /// The control interface could not be reached or refused.
    #[error("control interface: {0}")]
    Control(String),
}

impl LabError {
    /// Wraps an I/O error with what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<rcgen::Error> for LabError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

impl From<rustls::Error> for LabError {
    fn from(error: rustls::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

impl From<reqwest::Error> for LabError {
    fn from(error: reqwest::Error) -> Self {
        Self::Control(error.to_string())
    }
}
