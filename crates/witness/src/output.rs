//! Printing, for a reader that may be gone. `println!` panics then, and a witness must not end because
//! whoever read its first lines went away: what cannot be printed is left out.

use std::{fmt, io::Write as _};

/// Writes one line to standard output, if somebody reads it.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{text}")
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        eprintln!("the output cannot be written: {error}");
    }
}

/// As the standard one, but a closed pipe is no panic.
macro_rules! println {
    ($($what:tt)*) => { $crate::output::line(format_args!($($what)*)) };
}
