//! The root certificates of the platform, and why there are none.
//! Absent: who is verified by them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls_native_certs::{Error, ErrorKind, load_native_certs};
use tracing::debug;

use crate::cert::files::shown;
use crate::error::reason;

/// The variables by which every TLS library is told of other roots.
const FILE: &str = "SSL_CERT_FILE";
const DIRECTORIES: &str = "SSL_CERT_DIR";

/// The files and directories that the environment names for roots, and that are there.
pub(super) fn named() -> Vec<PathBuf> {
    let mut named: Vec<PathBuf> = std::env::var_os(FILE).map(PathBuf::from).into_iter().collect();
    named.extend(std::env::split_paths(
        &std::env::var_os(DIRECTORIES).unwrap_or_default(),
    ));
    named.retain(|path| path.exists());
    named
}

/// The platform's roots.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) roots: RootCertStore,
    /// Why there are none at all; `None` where there are.
    pub(super) none: Option<String>,
}

/// Read once, and only when somebody has to be verified by them.
pub(super) fn platform() -> &'static Platform {
    static PLATFORM: OnceLock<Platform> = OnceLock::new();
    PLATFORM.get_or_init(|| {
        let file = std::env::var_os(FILE).map(PathBuf::from);
        let directories = std::env::var_os(DIRECTORIES);
        let mut roots = RootCertStore::empty();
        // A pipe or a terminal would be waited for.
        let refused = file.as_deref().and_then(not_a_file);
        let faults = match refused {
            Some(fault) => vec![fault],
            None => {
                let loaded = load_native_certs();
                roots.add_parsable_certificates(loaded.certs);
                let named = |error| why(error, file.as_deref());
                loaded.errors.iter().map(named).collect()
            }
        };
        for fault in &faults {
            debug!("passed over for trust: {fault}");
        }
        let none = roots
            .is_empty()
            .then(|| none(faults, file.as_deref(), directories.as_deref()));
        Platform { roots, none }
    })
}

/// The same as certificates, for saying what is wrong with a chain. They are read anew: few runs need them.
pub(super) fn certificates() -> Vec<CertificateDer<'static>> {
    let file = std::env::var_os(FILE).map(PathBuf::from);
    match file.as_deref().and_then(not_a_file) {
        Some(_) => Vec::new(),
        None => load_native_certs().certs,
    }
}

fn not_a_file(path: &Path) -> Option<String> {
    let found = std::fs::metadata(path).ok()?;
    (!found.is_file()).then(|| format!("{FILE} names {}, which is no file", shown(path)))
}

/// Why something could not be read.
fn why(error: &Error, file: Option<&Path>) -> String {
    match &error.kind {
        ErrorKind::Io { inner, path } if file == Some(path) => {
            format!("{FILE} names {}: {}", shown(path), reason(inner))
        }
        ErrorKind::Io { inner, path } => format!("cannot read {}: {}", shown(path), reason(inner)),
        ErrorKind::Os(_) | ErrorKind::Pem(_) | _ => error.to_string(),
    }
}

/// Why there are no roots, `faults` being what could not be read.
fn none(faults: Vec<String>, file: Option<&Path>, directories: Option<&OsStr>) -> String {
    match (faults.into_iter().next(), file, directories) {
        (Some(first), ..) => format!("there is no root certificate: {first}"),
        (None, Some(file), _) => format!("{FILE} names {}, which holds no certificate", shown(file)),
        (None, None, Some(directories)) => {
            let shown = shown(Path::new(directories));
            format!("{DIRECTORIES} names {shown}, where there is no certificate")
        }
        (None, None, None) => "this system has no root certificates at all".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_there_are_none_is_the_first_thing_that_went_wrong() {
        let none = |faults: &[&str], file: Option<&str>, directories: Option<&str>| {
            let faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
            super::none(faults, file.map(Path::new), directories.map(OsStr::new))
        };
        assert_eq!(
            none(&["a", "b"], Some("f"), None),
            "there is no root certificate: a"
        );
        assert_eq!(
            none(&[], Some("f"), Some("d")),
            "SSL_CERT_FILE names `f`, which holds no certificate"
        );
        assert_eq!(
            none(&[], None, Some("d")),
            "SSL_CERT_DIR names `d`, where there is no certificate"
        );
        assert_eq!(
            none(&[], None, None),
            "this system has no root certificates at all"
        );
    }
}
