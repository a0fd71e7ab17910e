//! Fresh secrets and ids, from the cryptography library's generator.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::Error;

/// A secret of 256 random bits, as 43 characters of base64url.
pub(crate) fn secret() -> Result<SecretString, Error> {
    let bytes = bytes::<32>()?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_slice()).into())
}

/// A public id of 128 random bits, as 32 hexadecimal digits.
pub(crate) fn id() -> Result<String, Error> {
    Ok(format!("{:032x}", u128::from_be_bytes(*bytes()?)))
}

/// Random bytes that are wiped when dropped.
pub(crate) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    rand::fill(bytes.as_mut_slice())?;
    Ok(bytes)
}
