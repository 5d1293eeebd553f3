//! Whether what is kept of the local authority is to be believed: whose it is, who can change it, and what it may do.
//! Absent: where it is kept.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_X509_EXT_NAME_CONSTRAINTS;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::issue::Permit;
use super::open::{in_shell, shown};
use super::{Fault, inspect};
use crate::error::reason;

/// Bits by which others than the owner may write.
const OTHERS_WRITE: u32 = 0o022;

/// What a path of the authority has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

/// Refuses what somebody else owns or can change. A link is followed for a directory that the user may have moved
/// elsewhere, and nowhere else.
pub(super) fn ours(path: &Path, kind: Kind, follow: bool) -> Result<(), Fault> {
    let found = match follow {
        true => fs::metadata(path),
        false => fs::symlink_metadata(path),
    };
    let failed = |error: io::Error| Fault::new(format!("cannot read {}: {}", shown(path), reason(&error)));
    let found = found.map_err(failed)?;
    let refused = |why: &str, help: String| Err(Fault::new(format!("{} {why}", shown(path))).help(help));
    let out_of_the_way = || format!("move it out of the way: mv {0} {0}.old", in_shell(path));
    match kind {
        Kind::Directory if !found.is_dir() => return refused("is no directory", out_of_the_way()),
        Kind::File if !found.is_file() => return refused("is no file", out_of_the_way()),
        Kind::Directory | Kind::File => {}
    }
    if found.uid() != 0 && found.uid() != rustix::process::geteuid().as_raw() {
        let help = "is HOME or XDG_DATA_HOME that of another user?";
        return refused("belongs to somebody else", help.into());
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return refused(
            "can be changed by others",
            format!("chmod go-w {}", in_shell(path)),
        );
    }
    Ok(())
}

/// Refuses a certificate that is not that of an authority for this machine and nothing else.
pub(super) fn for_this_machine_only(certificate: &[u8]) -> Result<(), &'static str> {
    if !inspect::is_authority(certificate) || !inspect::is_self_signed(certificate) {
        return Err("is not that of an authority");
    }
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Err("is damaged");
    };
    let Ok(Some(found)) = certificate.get_extension_unique(&OID_X509_EXT_NAME_CONSTRAINTS) else {
        return Err("vouches for any name");
    };
    let ParsedExtension::NameConstraints(constraints) = found.parsed_extension() else {
        return Err("is damaged");
    };
    let mut permits = Permit::loopback().to_vec();
    let permitted = constraints.permitted_subtrees.iter().flatten();
    let ours = permitted.into_iter().all(|subtree| {
        let place = permits.iter().position(|permit| is(permit, &subtree.base));
        place.map(|place| permits.remove(place)).is_some()
    });
    if !found.critical || !ours || !permits.is_empty() || constraints.excluded_subtrees.is_some() {
        return Err("vouches for other names than those of this machine");
    }
    Ok(())
}

/// Whether the name of a subtree is exactly what is permitted.
fn is(permit: &Permit, base: &GeneralName<'_>) -> bool {
    match (permit, base) {
        (Permit::Dns(ours), GeneralName::DNSName(name)) => ours == name,
        (Permit::Network(address, bits), GeneralName::IPAddress(bytes)) => {
            // RFC 5280, section 4.2.1.10: the address, then the mask.
            let (octets, bits) = match address {
                IpAddr::V4(address) => (address.octets().to_vec(), u32::from(*bits)),
                IpAddr::V6(address) => (address.octets().to_vec(), u32::from(*bits)),
            };
            let mask = (0..octets.len() as u32).map(|byte| {
                let ones = bits.saturating_sub(byte * 8).min(8);
                !(0xff_u32 >> ones) as u8
            });
            let wanted: Vec<u8> = octets.iter().copied().chain(mask).collect();
            wanted == *bytes
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::cert::KeyType;
    use crate::cert::issue::{Authority, Leaf, Validity, self_signed};

    #[test]
    fn only_an_authority_for_exactly_this_machine_is_sound() {
        let judge = |permits: &[Permit]| {
            let authority = Authority::new("test", permits, KeyType::EcdsaP256, Validity::days(1)).unwrap();
            for_this_machine_only(&authority.identity().chain[0])
        };
        let ours = Permit::loopback();
        judge(&ours).unwrap();
        let [localhost, v4, v6] = ours;
        let wide = Permit::Network("127.0.0.0".parse().unwrap(), 7);
        for permits in [
            vec![],
            vec![localhost.clone()],
            vec![localhost.clone(), v4.clone()],
            vec![localhost.clone(), wide, v6.clone()],
            vec![
                localhost.clone(),
                v4.clone(),
                v6.clone(),
                Permit::Dns("example.com".into()),
            ],
            vec![localhost.clone(), localhost, v4, v6],
        ] {
            judge(&permits).unwrap_err();
        }
        let leaf = self_signed(&Leaf::server(["localhost".parse().unwrap()], Validity::days(1))).unwrap();
        for_this_machine_only(&leaf.chain[0]).unwrap_err();
        for_this_machine_only(b"x").unwrap_err();
    }

    #[test]
    fn what_others_can_change_is_not_ours() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("f");
        fs::write(&file, "").unwrap();
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let said = |text: &str| text.replace(&home.path().display().to_string(), "");
        let why = |path: &Path, kind| said(&ours(path, kind, false).unwrap_err().why);
        let help = |path: &Path, kind| said(&ours(path, kind, false).unwrap_err().help.unwrap());
        for good in [0o600, 0o644] {
            mode(good);
            ours(&file, Kind::File, false).unwrap();
        }
        for bad in [0o620, 0o602] {
            mode(bad);
            assert_eq!(why(&file, Kind::File), "`/f` can be changed by others");
            assert_eq!(help(&file, Kind::File), "chmod go-w /f");
        }
        mode(0o600);
        assert_eq!(why(&file, Kind::Directory), "`/f` is no directory");
        let move_it = "move it out of the way: mv /f /f.old";
        assert_eq!(help(&file, Kind::Directory), move_it);
        let link = home.path().join("link");
        symlink(&file, &link).unwrap();
        assert_eq!(why(&link, Kind::File), "`/link` is no file");
        ours(&link, Kind::File, true).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
            assert_eq!(why(&file, Kind::File), "`/f` belongs to somebody else");
            let whose = "is HOME or XDG_DATA_HOME that of another user?";
            assert_eq!(help(&file, Kind::File), whose);
        }
    }
}
