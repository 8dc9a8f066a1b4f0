//! Authenticated encryption: keys, one subkey per purpose, and sealed bytes.
//!
//! The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with random 192-bit nonces.
//! Subkeys come from HKDF-SHA256 (RFC 5869) with the store's own salt. Associated data binds sealed
//! bytes to their place: bytes moved elsewhere do not open.

use chacha20poly1305::{
    Key as CipherKey, KeyInit, Tag, XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, inout::InOutBuf},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Errors of keys and sealing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The system returned no random bytes.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// The length of a key is not 32 bytes.
    #[error("a key has 32 bytes, not {0}")]
    Length(usize),
    /// The input exceeds 256 GiB.
    #[error("the text is too long")]
    TooLong,
}

/// Length of the nonce in bytes. It precedes the ciphertext.
pub(crate) const NONCE: usize = 24;
/// Length of the tag in bytes. It follows the ciphertext.
pub(crate) const TAG: usize = 16;

/// A 32-byte secret, wiped on drop. The host keeps it in Android's Keystore or Apple's Keychain.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl Key {
    /// Creates a key from these bytes. They must come from a secure random generator, not from a
    /// password.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Generates a key with the system's random generator.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self(random()?))
    }

    /// Returns the bytes, for the host to keep.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Derives a subkey for one purpose.
    pub(crate) fn derive(&self, salt: &[u8], purpose: &str) -> Self {
        let mut out = [0; 32];
        // Fails only for outputs of more than 8,160 bytes.
        let _ = Hkdf::<Sha256>::new(Some(salt), &self.0).expand(purpose.as_bytes(), &mut out);
        let key = Self(out);
        out.zeroize();
        key
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&CipherKey::from(self.0))
    }
}

impl TryFrom<&[u8]> for Key {
    type Error = KeyError;

    fn try_from(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::Length(bytes.len()))
    }
}

impl std::fmt::Debug for Key {
    /// Never shows the bytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Returns N bytes from the system's random generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut out = [0; N];
    getrandom::fill(&mut out).map_err(|e| KeyError::Random(e.to_string()))?;
    Ok(out)
}

/// Returns nonce, ciphertext and tag of `plain`, bound to `place`.
pub(crate) fn seal(key: &Key, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    let nonce = random::<NONCE>()?;
    let mut out = Vec::with_capacity(NONCE + plain.len() + TAG);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plain);
    let body = InOutBuf::from(&mut out[NONCE..]);
    let tag = key.cipher().encrypt_inout_detached(&XNonce::from(nonce), place, body);
    // Fails only for messages of 256 GiB; callers enforce far lower bounds.
    let tag = tag.map_err(|_| KeyError::TooLong)?;
    out.extend_from_slice(&tag);
    Ok(out)
}

/// Undoes [`seal`]. Returns `None` if the bytes, the place or the key differ from the sealed ones.
pub(crate) fn open(key: &Key, place: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
    let (body, tag) = rest.split_last_chunk::<TAG>()?;
    let mut plain = Zeroizing::new(body.to_vec());
    let buffer = InOutBuf::from(plain.as_mut_slice());
    key.cipher().decrypt_inout_detached(&XNonce::from(*nonce), place, buffer, &Tag::from(*tag)).ok()?;
    Some(plain)
}

/// Plain bytes decrypted in place. Wiped on drop.
pub(crate) struct Opened(Zeroizing<Vec<u8>>);

impl std::ops::Deref for Opened {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0[NONCE..self.0.len() - TAG]
    }
}

/// As [`open`], without a second copy of the bytes: for inputs of megabytes.
pub(crate) fn open_in_place(key: &Key, place: &[u8], sealed: Vec<u8>) -> Option<Opened> {
    let mut sealed = Zeroizing::new(sealed);
    let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE>()?;
    let (body, tag) = rest.split_last_chunk_mut::<TAG>()?;
    let (nonce, tag) = (XNonce::from(*nonce), Tag::from(*tag));
    key.cipher().decrypt_inout_detached(&nonce, place, InOutBuf::from(body), &tag).ok()?;
    Some(Opened(sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vector of draft-irtf-cfrg-xchacha-03, appendix A.3.1: the construction is the same.
    #[test]
    fn the_published_vector_opens() {
        let hex = |s: &str| -> Vec<u8> {
            (0..s.len() / 2).map(|n| u8::from_str_radix(&s[2 * n..2 * n + 2], 16).unwrap()).collect()
        };
        let key = Key::try_from(&hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")[..]).unwrap();
        let sealed = hex(concat!(
            "404142434445464748494a4b4c4d4e4f5051525354555657",
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb",
            "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452",
            "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9",
            "21f9664c97637da9768812f615c68b13b52e",
            "c0875924c1c7987947deafd8780acf49"
        ));
        let plain = open(&key, &hex("50515253c0c1c2c3c4c5c6c7"), &sealed).unwrap();
        assert_eq!(*open_in_place(&key, &hex("50515253c0c1c2c3c4c5c6c7"), sealed.clone()).unwrap(), plain[..]);
        assert!(plain.starts_with(b"Ladies and Gentlemen of the class of '99"), "{:?}", &plain[..]);
        let other = Key::new([1; 32]);
        assert!(open(&other, &hex("50515253c0c1c2c3c4c5c6c7"), &sealed).is_none());
    }

    /// Compares with RFC 5869, appendix A.1. Its output is longer, but the first 32 bytes are the
    /// same.
    #[test]
    fn subkeys_are_hkdf() {
        let key = Hkdf::<Sha256>::new(Some(&(0..13).collect::<Vec<u8>>()), &[0x0b; 22]);
        let mut out = [0; 32];
        key.expand(&(0xf0..0xfa).collect::<Vec<u8>>(), &mut out).unwrap();
        assert_eq!(out[..8], [0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a]);
        let key = Key::new([7; 32]);
        assert_ne!(key.derive(b"a", "x").0, key.derive(b"a", "y").0);
        assert_ne!(key.derive(b"a", "x").0, key.derive(b"b", "x").0);
    }

    #[test]
    fn any_change_is_noticed() {
        let key = Key::generate().unwrap();
        let sealed = seal(&key, b"here", b"a secret").unwrap();
        assert_eq!(&open(&key, b"here", &sealed).unwrap()[..], b"a secret");
        assert_ne!(sealed, seal(&key, b"here", b"a secret").unwrap(), "nonces differ");
        assert!(open(&key, b"there", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut wrong = sealed.clone();
            wrong[at] ^= 1;
            assert!(open(&key, b"here", &wrong).is_none(), "byte {at}");
            assert!(open(&key, b"here", &sealed[..at]).is_none(), "cut at {at}");
        }
        assert_eq!(format!("{key:?}"), "Key(..)");
    }
}
