//! For what the law lets the log be read (Wpg 32a lid 2). The daemon asks for it at its door; here it is asked wherever names are
//! opened or entries leave the house offline, and stands in what is made.

use clap::ValueEnum;

/// One of the four purposes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Purpose {
    /// Checking that data were processed lawfully
    Lawfulness,
    /// Internal control
    InternalControl,
    /// Integrity and security of the data
    Integrity,
    /// Criminal proceedings
    CriminalProceedings,
}

impl Purpose {
    /// The word in the log and in the API.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Lawfulness => "lawfulness",
            Self::InternalControl => "internal_control",
            Self::Integrity => "integrity",
            Self::CriminalProceedings => "criminal_proceedings",
        }
    }
}
