//! Files of keys and certificates: read for what is wanted of them, or in words why not.
//! Absent: what PEM looks like, and making keys and certificates.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tracing::{debug, warn};

use super::open;
pub use super::open::shown;
use super::pem::{self, Contents, ENCRYPTED, instead, section};
pub use super::pem::{certificates_pem, key_pem};
use super::{CertificateDer, Fault, Identity, Passphrases, PrivateKeyDer, encrypted, inspect};
use crate::error::reason;

/// As many files of a directory are read, which is several times the authorities of the world.
const FILES_MAX: usize = 1024;

/// The certificates of a file, in its order; at least one.
///
/// # Errors
/// The file cannot be read, is no PEM, is damaged, or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    certificates_in(read(path)?.0, path)
}

fn certificates_in(contents: Contents, path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    if contents.certificates.is_empty() {
        let why = format!("{} holds no certificate{}", shown(path), contents.instead());
        return Err(Fault::new(why));
    }
    Ok(contents.certificates)
}

/// A key with its certificates, and further ones to send with them. The key's file may hold the certificates too.
///
/// # Errors
/// A file cannot be read, is no PEM, or is damaged; there is no certificate; or there is no key, or several, or one
/// that cannot be decrypted.
pub fn identity(
    key_file: &Path,
    passphrases: &Passphrases,
    chain_file: &Path,
    extra: Option<&Path>,
) -> Result<Identity, Fault> {
    let (mut contents, for_all) = read(key_file)?;
    if for_all && !contents.keys.is_empty() {
        warn!(
            "everybody on this machine can read the private key in {}",
            shown(key_file)
        );
    }
    let key = key_in(&mut contents, passphrases, key_file)?;
    // Once, as what comes through a pipe is not there twice.
    let mut chain = match key_file == chain_file {
        true => certificates_in(contents, key_file)?,
        false => certificates(chain_file)?,
    };
    if let Some(extra) = extra {
        chain.extend(certificates(extra)?);
    }
    Ok(Identity { chain, key })
}

fn key_in(
    contents: &mut Contents,
    passphrases: &Passphrases,
    path: &Path,
) -> Result<PrivateKeyDer<'static>, Fault> {
    match (&contents.keys[..], &contents.encrypted[..]) {
        ([_], []) => Ok(contents.keys.remove(0)),
        ([], [der]) => encrypted::decrypt(der, passphrases, path),
        ([], []) => {
            let why = format!("{} holds no private key{}", shown(path), contents.instead());
            Err(Fault::new(why))
        }
        (plain, encrypted) => Err(Fault::new(format!(
            "{} holds {} private keys, one is needed",
            shown(path),
            plain.len() + encrypted.len()
        ))),
    }
}

/// Certificates to trust, and the files of a directory that were passed over.
#[derive(Debug)]
pub struct Roots {
    /// The certificates; at least one.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Files of the directory that could not be used.
    pub skipped: Vec<Fault>,
}

/// The certificates of a file, or of every `*.pem` file of a directory, without those that cannot be trusted because of
/// their version.
///
/// # Errors
/// As [`certificates`]; for a directory, where it cannot be read or there are none in it at all.
pub fn roots(path: &Path) -> Result<Roots, Fault> {
    if !path.is_dir() {
        let certificates = to_trust(path)?;
        return Ok(Roots {
            certificates,
            skipped: Vec::new(),
        });
    }
    let mut roots = Roots {
        certificates: Vec::new(),
        skipped: Vec::new(),
    };
    for file in pem_files(path)? {
        match to_trust(&file) {
            Ok(more) => roots.certificates.extend(more),
            Err(fault) => roots.skipped.push(fault),
        }
    }
    if roots.certificates.is_empty() {
        let why = match roots.skipped.first() {
            None => format!("there is no *.pem file in {}", shown(path)),
            Some(first) => format!("there is no certificate in {}: {first}", shown(path)),
        };
        return Err(Fault::new(why));
    }
    Ok(roots)
}

/// The certificates of a file without those that nobody could trust; at least one.
fn to_trust(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let mut certificates = certificates(path)?;
    let mut first = None;
    certificates.retain(|certificate| {
        let Some(why) = inspect::cannot_be_trusted(certificate) else {
            return true;
        };
        let subject = inspect::subject(certificate);
        debug!("passed over for trust: `{subject}` in {}: {why}", shown(path));
        first.get_or_insert((subject, why));
        false
    });
    match first {
        Some((subject, why)) if certificates.is_empty() => Err(Fault::new(format!(
            "no certificate in {} can be a root: `{subject}` is {why}",
            shown(path)
        ))
        .help("its authority has to make one of version 3")),
        _ => Ok(certificates),
    }
}

/// The identity of every `*.pem` file of a directory, each with its key and chain, in the order of their names.
///
/// # Errors
/// The directory cannot be read, holds none, or one of them is no identity.
pub fn identities(directory: &Path, passphrases: &Passphrases) -> Result<Vec<Identity>, Fault> {
    let files = pem_files(directory)?;
    if files.is_empty() {
        return Err(Fault::new(format!(
            "there is no *.pem file in {}",
            shown(directory)
        )));
    }
    files
        .iter()
        .map(|file| identity(file, passphrases, file, None))
        .collect()
}

fn pem_files(directory: &Path) -> Result<Vec<PathBuf>, Fault> {
    let failed = |error: io::Error| {
        Fault::new(format!(
            "cannot read the directory {}: {}",
            shown(directory),
            reason(&error)
        ))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("pem"))
            // What is no file is nobody's certificate; a link that leads nowhere was meant to be one.
            && fs::metadata(&path).map_or(true, |found| found.is_file())
        {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            return Err(Fault::new(format!(
                "there are more than {FILES_MAX} *.pem files in {}",
                shown(directory)
            )));
        }
    }
    files.sort();
    Ok(files)
}

/// Whether the file holds Diffie-Hellman parameters.
///
/// # Errors
/// The file cannot be read, is no PEM, or holds something else.
pub fn check_dh_parameters(path: &Path) -> Result<(), Fault> {
    let (contents, _) = read(path)?;
    if contents
        .labels
        .iter()
        .any(|label| label == "DH PARAMETERS" || label == "X9.42 DH PARAMETERS")
    {
        return Ok(());
    }
    let why = format!("{} holds no DH PARAMETERS{}", shown(path), contents.instead());
    Err(Fault::new(why))
}

/// What a file holds, and whether everybody on this machine can read it.
pub(super) fn read(path: &Path) -> Result<(Contents, bool), Fault> {
    let whole = open::read(path)?;
    Ok((pem::parse(&whole.bytes, path)?, whole.for_all))
}

/// Whether it is a pipe: what it held is gone once it was read.
#[must_use]
pub fn is_pipe(path: &Path) -> bool {
    crate::whole::is_pipe(path)
}

/// The PEM of a private key under the passphrase in a file.
///
/// # Errors
/// There is no passphrase in the file.
pub fn encrypted_key_pem(key: &PrivateKeyDer<'_>, passphrase: &Path) -> Result<String, Fault> {
    Ok(section(ENCRYPTED, &encrypted::encrypt(key, passphrase)?))
}

/// The certificate signing request of a file, in DER.
///
/// # Errors
/// The file cannot be read, is no PEM, or holds none.
pub fn request(path: &Path) -> Result<Vec<u8>, Fault> {
    let (contents, _) = read(path)?;
    match contents.requests.into_iter().next() {
        Some(request) => Ok(request),
        None => Err(Fault::new(format!(
            "{} holds no certificate request{}",
            shown(path),
            instead(&contents.labels)
        ))),
    }
}

/// Writes a file that nobody else may read from its first byte on, and that must not be there yet.
///
/// # Errors
/// What the system says.
pub(super) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::Name;
    use crate::cert::issue::{Leaf, Validity, self_signed};

    fn none() -> Passphrases {
        Passphrases::new(None, "passphraseFile=FILE")
    }

    fn key(path: &Path, passphrases: &Passphrases) -> Result<PrivateKeyDer<'static>, Fault> {
        key_in(&mut read(path)?.0, passphrases, path)
    }

    fn identity() -> Identity {
        self_signed(&Leaf::server(Name::of_this_machine(), Validity::days(1))).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("both.pem");
        let ours = identity();
        write_secret(&path, &(certificates_pem(&ours.chain) + &key_pem(&ours.key))).unwrap();
        let read = super::identity(&path, &none(), &path, Some(&path)).unwrap();
        assert_eq!(read.key, ours.key);
        assert_eq!(read.chain, [&ours.chain[..], &ours.chain[..]].concat());
        assert_eq!(roots(directory.path()).unwrap().certificates, ours.chain);
        assert_eq!(identities(directory.path(), &none()).unwrap().len(), 1);
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert!(write_secret(&path, "again").is_err());
    }

    #[test]
    fn keys_of_openssl_are_decrypted_with_the_right_passphrase_alone() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let ours = identity();
        write_secret(&at("plain"), &key_pem(&ours.key)).unwrap();
        fs::write(at("right"), "open sesame\r\nsecond line").unwrap();
        fs::write(at("wrong"), "open barley").unwrap();
        fs::write(at("none"), "\n").unwrap();
        let openssl = |extra: &[&str], out: &str| {
            let mut command = std::process::Command::new("openssl");
            command.args(["pkcs8", "-topk8", "-passout", "pass:open sesame", "-in"]);
            command.arg(at("plain")).arg("-out").arg(at(out)).args(extra);
            command.output().is_ok_and(|output| output.status.success())
        };
        if !openssl(&["-v2", "aes256"], "pbkdf2") {
            // Without the peer there is nothing to agree with.
            return;
        }
        assert!(openssl(&["-scrypt"], "scrypt"));
        for name in ["pbkdf2", "scrypt"] {
            let of = |file: &str| Passphrases::new(Some(at(file)), "passphraseFile=FILE");
            let with = |file: &str| key(&at(name), &of(file));
            assert_eq!(with("right").unwrap(), ours.key, "{name}");
            assert!(with("wrong").unwrap_err().why.starts_with("wrong passphrase"));
            assert!(
                with("none")
                    .unwrap_err()
                    .why
                    .starts_with("there is no passphrase")
            );
            assert!(key(&at(name), &none()).unwrap_err().why.ends_with("is encrypted"));
        }
    }

    #[test]
    fn what_is_missing_is_said_with_what_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let ours = identity();
        let words = |text: &str| {
            fs::write(&path, text).unwrap();
            let of = |fault: Fault| fault.why.replace(&directory.path().display().to_string(), "");
            (
                key(&path, &none()).map(|_| ()).map_err(of),
                certificates(&path).map(|_| ()).map_err(of),
            )
        };
        let (no_key, _) = words(&certificates_pem(&ours.chain));
        assert_eq!(
            no_key.unwrap_err(),
            "`/f` holds no private key, but a CERTIFICATE"
        );
        let (two, no_certificate) = words(&key_pem(&ours.key).repeat(2));
        assert_eq!(two.unwrap_err(), "`/f` holds 2 private keys, one is needed");
        assert_eq!(
            no_certificate.unwrap_err(),
            "`/f` holds no certificate, but a PRIVATE KEY"
        );
        let (encrypted, _) = words(&{
            fs::write(&path, "open sesame").unwrap();
            encrypted_key_pem(&ours.key, &path).unwrap()
        });
        assert_eq!(encrypted.unwrap_err(), "the private key in `/f` is encrypted");
        fs::remove_file(&path).unwrap();
        assert!(
            key(&path, &none())
                .unwrap_err()
                .why
                .ends_with("`: no such file or directory")
        );
        assert!(
            roots(directory.path())
                .unwrap_err()
                .why
                .starts_with("there is no *.pem file in")
        );
    }
}
