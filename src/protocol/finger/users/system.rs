//! The users of this system: what the account database says, and what they wrote into `.project` and `.plan`.
//! Absent: who is logged in, and links; no file is followed anywhere.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use nix::unistd::User;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, open, openat, statat};
use tokio::sync::Semaphore;

use super::{Users, Wanted, is_plain};
use crate::connection::BoxFuture;
use crate::error::{Error, Result, Status, reason};
use crate::need::Need;

/// Of a plan, so much is shown.
const PLAN_MAX: usize = 32 * 1024;
/// A project is a line, and no longer than this.
const PROJECT_MAX: usize = 1024;
/// Look-ups at once: a directory service that hangs keeps no more threads than this.
const AT_ONCE: usize = 8;

/// The users of this system.
#[derive(Debug)]
pub struct System {
    places: Arc<Semaphore>,
}

impl Default for System {
    fn default() -> Self {
        System {
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Users for System {
    fn source(&self) -> &str {
        "--system"
    }

    fn needs(&self) -> Vec<Need> {
        // Homes are anywhere.
        vec![Need::Read("/".into())]
    }

    fn find<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        if !is_plain(&wanted.name) {
            return Box::pin(std::future::ready(Ok(None)));
        }
        let wanted = wanted.clone();
        Box::pin(async move {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let looked = tokio::task::spawn_blocking(move || {
                // Held by the thread: it goes on when nobody waits for it any more.
                let _place = place;
                look_up(&wanted)
            });
            match looked.await {
                Ok(found) => found,
                Err(_) => Err(Error::new(Status::Failure, "the look-up broke off")),
            }
        })
    }
}

fn look_up(wanted: &Wanted) -> Result<Option<Vec<u8>>> {
    let user = User::from_name(&wanted.name)
        .map_err(|error| Error::new(Status::Failure, reason(&std::io::Error::from(error))))?;
    Ok(user.and_then(|user| describe(&user, wanted.long)))
}

/// `None` where the user does not want to be found.
fn describe(user: &User, long: bool) -> Option<Vec<u8>> {
    let home = Home::open(&user.dir);
    if home.as_ref().is_some_and(Home::hides) {
        return None;
    }
    let gecos = user.gecos.to_string_lossy();
    let full_name = full_name(&gecos, &user.name);
    let mut said = format!("Login: {:<32}Name: {full_name}", user.name)
        .trim_end()
        .as_bytes()
        .to_vec();
    if long {
        let (home, shell) = (user.dir.display(), user.shell.display());
        said.extend_from_slice(format!("\nDirectory: {home:<28}Shell: {shell}").as_bytes());
    }
    if let Some(project) = home.as_ref().and_then(|home| home.read(".project", PROJECT_MAX)) {
        let line = project.split(|byte| *byte == b'\n').next().unwrap_or_default();
        said.extend_from_slice(b"\nProject: ");
        said.extend_from_slice(line);
    }
    match home.as_ref().and_then(|home| home.read(".plan", PLAN_MAX)) {
        Some(plan) => {
            said.extend_from_slice(b"\nPlan:\n");
            said.extend_from_slice(&plan);
        }
        None => said.extend_from_slice(b"\nNo plan."),
    }
    Some(said)
}

/// The first field of the comment in the account database; `&` in it stands for the login name with a capital.
fn full_name(gecos: &str, login: &str) -> String {
    let mut chars = login.chars();
    let capital: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(chars)
        .collect();
    let name = gecos.split(',').next().unwrap_or_default();
    name.replace('&', &capital)
}

/// A home directory, held open, so that what is read lies in it and nowhere else.
struct Home(OwnedFd);

impl Home {
    fn open(path: &Path) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(path, flags, Mode::empty()).ok().map(Home)
    }

    /// A user with a file of this name is not told about, as ever with finger.
    fn hides(&self) -> bool {
        statat(&self.0, ".nofinger", AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Whether anybody may reach what lies in it.
    fn is_open(&self) -> bool {
        fstat(&self.0).is_ok_and(|stat| Mode::from_raw_mode(stat.st_mode).contains(Mode::XOTH))
    }

    /// The beginning of a file, if it is an ordinary one that anybody may read, where it lies. We may be able to read
    /// more than its owner means to show, and a hard link may be to anything.
    fn read(&self, name: &str, most: usize) -> Option<Vec<u8>> {
        if !self.is_open() {
            return None;
        }
        // One component, not followed if it is a link, leads out of no directory. A pipe is not waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = openat(&self.0, name, flags, Mode::empty()).ok()?;
        let stat = fstat(&file).ok()?;
        let is_public = Mode::from_raw_mode(stat.st_mode).contains(Mode::ROTH);
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !is_public {
            return None;
        }
        let mut text = Vec::new();
        File::from(file).take(most as u64).read_to_end(&mut text).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::unistd::{Gid, Uid};
    use tempfile::TempDir;

    use super::*;

    fn user(home: &Path) -> User {
        User {
            name: "alice".into(),
            passwd: CString::default(),
            uid: Uid::from_raw(12_345),
            gid: Gid::from_raw(12_345),
            gecos: CString::new("& Liddell,Room 1").unwrap(),
            dir: home.into(),
            shell: "/bin/sh".into(),
        }
    }

    fn home() -> TempDir {
        let home = tempfile::tempdir().unwrap();
        set_mode(home.path(), 0o755);
        home
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn put(home: &TempDir, name: &str, text: &str, mode: u32) {
        let path = home.path().join(name);
        fs::write(&path, text).unwrap();
        set_mode(&path, mode);
    }

    fn said(home: &TempDir, long: bool) -> String {
        String::from_utf8(describe(&user(home.path()), long).unwrap()).unwrap()
    }

    #[test]
    fn an_account_its_project_and_its_plan() {
        let home = home();
        assert!(
            said(&home, false).starts_with("Login: alice "),
            "{}",
            said(&home, false)
        );
        assert!(said(&home, false).ends_with("Name: Alice Liddell\nNo plan."));
        assert!(!said(&home, false).contains("/bin/sh"));
        assert!(said(&home, true).contains("Shell: /bin/sh"));
        put(&home, ".project", "to wake\nand more\n", 0o644);
        put(&home, ".plan", "tea\nat six\n", 0o644);
        assert!(said(&home, false).ends_with("\nProject: to wake\nPlan:\ntea\nat six\n"));
    }

    #[test]
    fn links_private_files_and_what_is_no_file_are_not_read() {
        let home = home();
        put(&home, "real", "elsewhere", 0o644);
        symlink(home.path().join("real"), home.path().join(".plan")).unwrap();
        symlink("/etc/passwd", home.path().join(".project")).unwrap();
        assert!(said(&home, true).ends_with("No plan."));
        assert!(!said(&home, true).contains("Project"));
        fs::remove_file(home.path().join(".plan")).unwrap();
        put(&home, ".plan", "secret", 0o600);
        assert!(said(&home, true).ends_with("No plan."));
        fs::remove_file(home.path().join(".plan")).unwrap();
        fs::create_dir(home.path().join(".plan")).unwrap();
        assert!(said(&home, true).ends_with("No plan."));
        fs::remove_dir(home.path().join(".plan")).unwrap();
        let pipe = home.path().join(".plan");
        let made = std::process::Command::new("mkfifo")
            .arg("-m644")
            .arg(pipe)
            .status();
        assert!(made.unwrap().success());
        assert!(said(&home, true).ends_with("No plan."));
    }

    #[test]
    fn in_a_private_home_nothing_is_read() {
        let home = home();
        put(&home, ".project", "to wake", 0o644);
        put(&home, ".plan", "tea", 0o644);
        for (mode, shows) in [(0o700, false), (0o750, false), (0o754, false), (0o711, true)] {
            set_mode(home.path(), mode);
            assert_eq!(said(&home, false).contains("to wake"), shows, "{mode:o}");
            assert_eq!(said(&home, false).ends_with("tea"), shows, "{mode:o}");
        }
        set_mode(home.path(), 0o700);
        put(&home, ".nofinger", "", 0o600);
        assert!(describe(&user(home.path()), false).is_none());
    }

    #[test]
    fn a_huge_plan_is_cut_and_a_shy_user_is_nobody() {
        let home = home();
        put(&home, ".plan", &"p".repeat(1 << 20), 0o644);
        assert!(said(&home, false).len() < PLAN_MAX + 200);
        put(&home, ".nofinger", "", 0o644);
        assert!(describe(&user(home.path()), false).is_none());
    }

    #[tokio::test]
    async fn the_account_database_is_asked() {
        let find = |name: &str| {
            let wanted = Wanted {
                name: name.into(),
                long: true,
            };
            async move { System::default().find(&wanted).await.unwrap() }
        };
        let root = String::from_utf8(find("root").await.unwrap()).unwrap();
        assert!(root.starts_with("Login: root"), "{root}");
        for name in ["nobody-of-that-name", "-l", "../../etc/passwd", ""] {
            assert_eq!(find(name).await, None, "{name}");
        }
    }
}
