//! A token in a folder, by SoftHSM (Debian package `softhsm2`): for tests and for trying things out. It protects nothing
//! that a copy of the folder would not have.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Where Debian puts the library.
pub const LIBRARY: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// The variable by which SoftHSM finds its configuration.
pub const VARIABLE: &str = "SOFTHSM2_CONF";

/// A software token.
pub struct SoftToken {
    folder: PathBuf,
    label: String,
}

impl SoftToken {
    /// Makes a token of this label in a folder, with the PIN in the file `pin` there. Programs that use it need
    /// [`VARIABLE`] to be [`SoftToken::configuration`].
    ///
    /// # Errors
    /// What the disk or `softhsm2-util` said.
    pub fn make(folder: &Path, label: &str) -> io::Result<Self> {
        fs::create_dir_all(folder.join("tokens"))?;
        let pin = folder.join("pin");
        fs::write(&pin, "482915\n")?;
        fs::set_permissions(&pin, fs::Permissions::from_mode(0o600))?;
        let token = Self { folder: folder.to_owned(), label: label.to_owned() };
        let settings = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            folder.join("tokens").display()
        );
        fs::write(token.configuration(), settings)?;
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label, "--pin", "482915", "--so-pin", "771304"])
            .env(VARIABLE, token.configuration())
            .output()?;
        if made.status.success() {
            Ok(token)
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()))
        }
    }

    /// Its configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    /// The address of a key in it, or of the token alone.
    pub fn uri(&self, object: Option<&str>) -> String {
        let object = object.map_or_else(String::new, |object| format!(";object={object}"));
        let (label, pin) = (&self.label, self.folder.join("pin"));
        format!("pkcs11:token={label}{object}?module-path={LIBRARY}&pin-source=file:{}", pin.display())
    }
}
