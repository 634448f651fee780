//! `cargo xtask`: see the library.

fn main() {
    std::process::exit(xtask::main());
}
