//! Mistakes in configuration files, told so that they can be mended: file, line, key, nearest known key.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A mistake, or several in one file.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file or folder could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What stands in a file is wrong.
    #[error("{}", Joined(.0))]
    Wrong(Vec<Mistake>),
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

struct Joined<'a>(&'a [Mistake]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{}: {}", mistake.file.display(), mistake.line, mistake.message)?;
        }
        Ok(())
    }
}

/// The text of a file.
pub(crate) fn text_of(path: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })
}

/// Reads TOML into a value; unknown keys come with the nearest known one.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, SettingsError> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        SettingsError::Wrong(vec![Mistake {
            file: path.to_owned(),
            line,
            message: with_suggestion(error.message()),
        }])
    })
}

/// The line, from 1, of a byte position.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// Serde says "unknown field `x`, expected one of `a`, `b`"; this adds which of them was probably meant.
fn with_suggestion(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let kind = if message.starts_with("unknown field") {
        "key"
    } else if message.starts_with("unknown variant") {
        "value"
    } else {
        return message.to_owned();
    };
    let Some((wrong, known)) = quoted.split_first() else { return message.to_owned() };
    let nearest =
        known.iter().max_by(|a, b| strsim::jaro_winkler(wrong, a).total_cmp(&strsim::jaro_winkler(wrong, b)));
    match nearest {
        Some(nearest) => format!(
            "unknown {kind} `{wrong}`; the nearest known {kind} is `{nearest}` (all: {})",
            known.join(", ")
        ),
        None => format!("unknown {kind} `{wrong}`"),
    }
}
