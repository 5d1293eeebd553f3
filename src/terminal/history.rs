//! Where the lines typed to an endpoint are remembered.
//! Absent: the lines.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The file for `endpoint`, of type `type_name`: `$XDG_STATE_HOME/netkit/history/TYPE-HASH`, else below
/// `~/.local/state`. `None` where there is neither. The name says no more of the endpoint than its type, as a string
/// may hold what is nobody's business.
#[must_use]
pub fn file(type_name: &str, endpoint: &str) -> Option<PathBuf> {
    within(
        std::env::var_os("XDG_STATE_HOME"),
        std::env::var_os("HOME"),
        type_name,
        endpoint,
    )
}

fn within(
    state: Option<OsString>,
    home: Option<OsString>,
    type_name: &str,
    endpoint: &str,
) -> Option<PathBuf> {
    // A relative path is to be ignored (XDG base directory specification).
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute(state).or_else(|| absolute(home).map(|home| home.join(".local/state")))?;
    let name = format!("{type_name}-{:016x}", fnv(endpoint.as_bytes()));
    Some(state.join("netkit/history").join(name))
}

/// FNV-1a, 64 bits: it has to give the same tomorrow, which the standard library's hashes do not promise.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Makes the directory of `file`, for its owner alone.
pub(super) fn make_room(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(directory) => DirBuilder::new().recursive(true).mode(0o700).create(directory),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_then_the_home() {
        let path = |state: Option<&str>, home: Option<&str>| {
            within(
                state.map(Into::into),
                home.map(Into::into),
                "tcp",
                "tcp:localhost:1234",
            )
        };
        let expected = "/s/netkit/history/tcp-24fb76dffe4a4e46";
        let name = Path::new(expected).file_name().unwrap();
        assert_eq!(
            path(Some("/s"), Some("/h")).unwrap().parent(),
            Path::new(expected).parent()
        );
        let below_home = path(Some("relative"), Some("/h")).unwrap();
        assert!(below_home.starts_with("/h/.local/state/netkit/history"));
        assert_eq!(path(None, None), None);
        assert_eq!(name.len(), below_home.file_name().unwrap().len());
    }

    #[test]
    fn each_endpoint_has_a_file_of_its_own_and_its_name_tells_nothing() {
        let name = |endpoint| within(Some("/s".into()), None, "tls", endpoint).unwrap();
        assert_ne!(name("tls:a:1"), name("tls:a:2"));
        assert!(!name("tls:secret/../x:1").to_string_lossy().contains("secret"));
        // The values that the function's authors publish.
        assert_eq!(
            (fnv(b""), fnv(b"a")),
            (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c)
        );
    }
}
