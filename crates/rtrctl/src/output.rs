//! Printing, for a reader that may have seen enough. `println!` panics when nobody reads any more (`rtrctl … | head`); Rust's
//! runtime ignores SIGPIPE, and setting that back takes unsafe code. So this crate has a `println!` of its own, which ends
//! the program in silence instead: all that it wanted to say is said.

use std::{fmt, io::Write as _};

/// Writes one line to standard output.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{text}") {
        // Nothing is left to do after a reader went away; a disk that is full (`> file`) is a failure.
        let gone = error.kind() == std::io::ErrorKind::BrokenPipe;
        if !gone {
            eprintln!("the output cannot be written: {error}");
        }
        std::process::exit(i32::from(!gone));
    }
}

/// As the standard one, but a closed pipe is the end and not a panic.
macro_rules! println {
    () => { $crate::output::line(format_args!("")) };
    ($($what:tt)*) => { $crate::output::line(format_args!($($what)*)) };
}
