//! Private keys under a passphrase (PKCS#8 with PBES2, RFC 8018), as OpenSSL writes them.
//! Absent: older ways, which hold nobody up: openssl turns them into this one.

use std::path::Path;

use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};

use super::open::{in_shell, shown};
use super::passphrase::{self, Passphrases};
use super::{Fault, PrivateKeyDer};

/// Ten times what is recommended, seconds of work. The numbers come from the file, and whoever wrote it may be no friend.
const ROUNDS_MAX: u32 = 10_000_000;

/// As much memory as scrypt may ask for.
const MEMORY_MAX: u64 = 256 * 1024 * 1024;

/// The object identifier 1.2.840.113549.1.5.13 in DER.
const PBES2: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";

/// The DER of a key under the passphrase in a file, made with scrypt and AES-256.
pub(super) fn encrypt(key: &PrivateKeyDer<'_>, file: &Path) -> Result<Vec<u8>, Fault> {
    let passphrase = passphrase::of_file(file)?;
    PrivateKeyInfoRef::try_from(key.secret_der())
        .and_then(|info| info.encrypt(passphrase.bytes()))
        .map(|document| document.as_bytes().to_vec())
        .map_err(|error| Fault::new(format!("the private key could not be encrypted: {error}")))
}

/// The key that stands in `der` under a passphrase; `path` is where it came from. Nobody is asked for the passphrase of
/// a key that no passphrase opens.
pub(super) fn decrypt(
    der: &[u8],
    passphrases: &Passphrases,
    path: &Path,
) -> Result<PrivateKeyDer<'static>, Fault> {
    if !der.windows(PBES2.len()).any(|window| window == PBES2) {
        let why = format!("the private key in {} is encrypted in an old way", shown(path));
        let again = format!(
            "openssl pkcs8 -topk8 -v2 aes256 -in {} -out new.pem",
            in_shell(path)
        );
        return Err(Fault::new(why).help(format!("encrypt it anew: {again}")));
    }
    let damaged = || Fault::new(format!("the encrypted private key in {} is damaged", shown(path)));
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| damaged())?;
    let EncryptionScheme::Pbes2(scheme) = &info.encryption_algorithm else {
        return Err(damaged());
    };
    let is_bearable = match &scheme.kdf {
        Kdf::Pbkdf2(terms) => terms.iteration_count <= ROUNDS_MAX,
        // RFC 7914, section 6: a power of two above 1. Other costs are no scrypt, and the library does not expect them.
        Kdf::Scrypt(terms)
            if terms.cost_parameter < 2
                || !terms.cost_parameter.is_power_of_two()
                || terms.block_size < 1
                || terms.parallelization < 1 =>
        {
            return Err(damaged());
        }
        Kdf::Scrypt(terms) => {
            let block = u64::from(terms.block_size).saturating_mul(128);
            let rounds = block.saturating_mul(u64::from(terms.parallelization));
            terms.cost_parameter.saturating_mul(rounds) <= MEMORY_MAX
        }
        _ => return Err(damaged()),
    };
    if !is_bearable {
        let why = format!(
            "the private key in {} takes absurdly long to decrypt, so nobody tries",
            shown(path)
        );
        return Err(Fault::new(why));
    }
    passphrases.open(path, |passphrase| {
        let key = info.decrypt(passphrase).ok()?;
        Some(PrivateKeyDer::Pkcs8(key.as_bytes().to_vec().into()))
    })
}
