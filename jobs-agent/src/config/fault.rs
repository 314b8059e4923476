//! Why there is no configuration.

use std::{io, path::PathBuf};

use super::VARIABLE_PREFIX;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// It is no TOML, or a member is unknown or of the wrong kind.
    #[error("{path}: {text}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        text: String,
    },
    /// A variable is no number.
    #[error("{VARIABLE_PREFIX}{0} must be a whole number")]
    Number(String),
    /// A value makes no sense.
    #[error("{0}")]
    Value(String),
}
