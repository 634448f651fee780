//! The witness's own key: a file, or a PKCS#11 token that never gives it away (a smart card, a hardware module, a TPM through
//! `tpm2-pkcs11`). Which of the two is seen from the text: `pkcs11:…` (RFC 7512) is a token, all else a file.

use crate::Refusal;
use ledger::note::CosignerKey;
use std::path::Path;

/// The key that `text` names; made under `name` when there is none yet.
///
/// # Errors
/// When it cannot be read or made, or the token cannot be used.
pub fn open(text: &str, name: &str) -> Result<CosignerKey, Refusal> {
    if text.starts_with("pkcs11:") {
        return in_token(text, name);
    }
    Ok(CosignerKey::load_or_create(Path::new(text), name)?)
}

#[cfg(feature = "pkcs11")]
fn in_token(text: &str, name: &str) -> Result<CosignerKey, Refusal> {
    use token::{SigningKey, Token, TokenError, TokenUri};
    let failed = |error: TokenError| Refusal::Token(error.to_string());
    let uri: TokenUri = text.parse().map_err(failed)?;
    let label = uri.object.clone().unwrap_or_else(|| "rtr-witness".to_owned());
    let token = Token::open(&uri).map_err(failed)?;
    let key = match SigningKey::find(&token, &label) {
        Err(TokenError::NoKey { .. }) => SigningKey::make(&token, &label),
        found => found,
    };
    let key = key.map_err(failed)?;
    let public = key.public();
    let signs = move |message: &[u8]| key.sign(message).map_err(|error| error.to_string());
    Ok(CosignerKey::elsewhere(name, &public, signs)?)
}

#[cfg(not(feature = "pkcs11"))]
fn in_token(_: &str, _: &str) -> Result<CosignerKey, Refusal> {
    Err(Refusal::Token(
        "this witness was built static, without PKCS#11; use the one from the package".to_owned(),
    ))
}
