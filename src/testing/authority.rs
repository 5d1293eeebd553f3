//! An authority for one place: it vouches for this machine, for a week, and its key is thrown away at once.
//! Absent: who trusts it.

use std::path::{Path, PathBuf};

use crate::cert::files::{certificates_pem, key_pem};
use crate::cert::issue::{Authority, Leaf, Permit, Validity};
use crate::cert::output::{File, write};
use crate::cert::{Fault, KeyType, Name};
use crate::error::{Result, Status};

/// Longer than any test, and clocks may be changed meanwhile.
const DAYS: u32 = 7;

/// The files of a server, and what its clients have to trust.
pub(super) struct Files {
    pub(super) key: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) roots: PathBuf,
}

/// Founds it, and writes what is left of it into this directory.
pub(super) fn found(directory: &Path) -> Result<Files> {
    written(directory).map_err(|fault| fault.at(Status::Failure).on("could not make a certificate"))
}

fn written(directory: &Path) -> std::result::Result<Files, Fault> {
    let validity = Validity::days(DAYS);
    let authority = Authority::new(
        "netkit testing",
        &Permit::loopback(),
        KeyType::EcdsaP256,
        validity,
    )?;
    let server = authority.issue(&Leaf::server(Name::of_this_machine(), validity))?;
    let file = |name, text, secret| File { name, text, secret };
    let files = [
        file("key.pem", key_pem(&server.key), true),
        file("cert.pem", certificates_pem(&server.chain), false),
        file("roots.pem", certificates_pem(&authority.identity().chain), false),
    ];
    write(directory, &files, false)?;
    Ok(Files {
        key: directory.join("key.pem"),
        certificate: directory.join("cert.pem"),
        roots: directory.join("roots.pem"),
    })
}
