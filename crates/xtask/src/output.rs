//! Printing, for a reader that may have seen enough. `println!` panics when nobody reads any more (`cargo xtask demo | head`);
//! here that is as good as Ctrl-C: whatever runs is ended in order, no process stays behind, and nothing is said of it.

use crate::processes;
use std::{fmt, io::Write as _};

/// Writes one line to standard output.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{text}") {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            processes::reader_gone();
        } else {
            eprintln!("the output cannot be written: {error}");
        }
    }
}

/// As the standard one, but a closed pipe is the end and not a panic.
macro_rules! println {
    () => { $crate::output::line(format_args!("")) };
    ($($what:tt)*) => { $crate::output::line(format_args!($($what)*)) };
}
