//! Holding the process to what it needs, by Landlock where the kernel has it: which files it may read, write and run,
//! and whether it may dial.
//! Absent: knowing what it needs; and a failure, as users, groups and modes protect the system without this.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use tracing::{debug, warn};

use crate::diagnostic::listed;
use crate::error::reason;
use crate::kernel::{self, Handled};
use crate::need::Need;

// LANDLOCK_ACCESS_FS_*, landlock(7).
const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SOCK: u64 = 1 << 9;
const MAKE_FIFO: u64 = 1 << 10;
const MAKE_BLOCK: u64 = 1 << 11;
const MAKE_SYM: u64 = 1 << 12;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;

// LANDLOCK_ACCESS_NET_*.
const BIND_TCP: u64 = 1 << 0;
const CONNECT_TCP: u64 = 1 << 1;

// LANDLOCK_SCOPE_*.
const ABSTRACT_UNIX_SOCKET: u64 = 1 << 0;
const SIGNAL: u64 = 1 << 1;

/// Everything but what belongs to devices.
const FILES: u64 = EXECUTE
    | WRITE_FILE
    | READ_FILE
    | READ_DIR
    | REMOVE_DIR
    | REMOVE_FILE
    | MAKE_CHAR
    | MAKE_DIR
    | MAKE_REG
    | MAKE_SOCK
    | MAKE_FIFO
    | MAKE_BLOCK
    | MAKE_SYM;
const READ: u64 = READ_FILE | READ_DIR;
/// All that can be done to what is below a directory of our own.
const WRITE: u64 =
    READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE;
/// What it takes to write a file, to make it where it is missing, and to take back what was written in part. It is read
/// for how it ends, and its directory is brought to the disk.
const WRITE_ONE: u64 = READ | WRITE_FILE | MAKE_REG | TRUNCATE;
/// A log is only ever added to.
const LOG: u64 = WRITE_FILE | MAKE_REG;
/// What can be allowed for something that is no directory.
const OF_A_FILE: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;

/// What any process may read at any time: libraries that are loaded when they are first needed, how many processors
/// there are, its own state.
const SYSTEM: &[&str] = &[
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/sys/devices/system/cpu",
    "/proc/self",
];

/// Devices that keep nothing, and give nothing that anybody wrote.
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// How hosts are found by name. A change of `resolv.conf` or `hosts` puts a new file in the place of the old one, which
/// a rule about the old one does not cover: so it is the directory. It may be a link to where whoever sees to the
/// network keeps it.
const NAMES: &[&str] = &["/etc", "/run/systemd/resolve", "/run/nscd"];
const NAMES_LINKED: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/host.conf",
];

/// Where systems keep the roots to which the links below `/etc` lead.
const ROOTS: &[&str] = &[
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
    "/opt/etc/ssl/certs",
];

/// As many links as the kernel follows on one path.
const LINKS_MAX: usize = 40;

/// Where programs leave what they need for a moment.
const SCRATCH: &[&str] = &["/tmp", "/var/tmp"];

static HELD: AtomicBool = AtomicBool::new(false);

/// Whether a sandbox holds, and so may be why something is refused.
#[must_use]
pub fn is_held() -> bool {
    HELD.load(Relaxed)
}

/// A ruleset that is being made. It holds for nobody before [`Sandbox::hold`].
#[derive(Debug)]
pub struct Sandbox {
    made: Option<Made>,
}

#[derive(Debug)]
struct Made {
    version: u32,
    handled: Handled,
    ruleset: OwnedFd,
    /// What is allowed, for the log.
    allowed: BTreeMap<PathBuf, u64>,
}

impl Sandbox {
    /// One for a process with these needs; they are allowed by [`Sandbox::allow`], in the root that they are found in.
    #[must_use]
    pub fn new(needs: &[Need]) -> Self {
        let version = match kernel::landlock_version() {
            Ok(version) => version,
            Err(error) => {
                debug!("no sandbox: the kernel has no Landlock: {}", reason(&error));
                return Sandbox { made: None };
            }
        };
        let handled = handled(version, needs);
        match kernel::landlock_ruleset(&handled) {
            Ok(ruleset) => Sandbox {
                made: Some(Made {
                    version,
                    handled,
                    ruleset,
                    allowed: BTreeMap::new(),
                }),
            },
            Err(error) => {
                warn!("no sandbox: {}", reason(&error));
                Sandbox { made: None }
            }
        }
    }

    /// Allows what is needed, where it is found now.
    pub fn allow<'a>(&mut self, needs: impl IntoIterator<Item = &'a Need>) {
        for (path, access) in needs.into_iter().flat_map(rules) {
            self.allow_below(&path, access);
        }
    }

    /// Allows to open the log anew, once it was moved away, where it is found now.
    pub fn allow_log(&mut self, path: &Path) {
        for place in places_of(path) {
            self.allow_below(&place, LOG);
        }
    }

    /// Allows what every process reads, and the devices that every process may write, where they are found now.
    pub fn allow_system(&mut self) {
        for path in SYSTEM {
            self.allow_below(Path::new(path), READ);
        }
        for path in DEVICES {
            self.allow_below(Path::new(path), READ_FILE | WRITE_FILE);
        }
    }

    /// Allows all that is below the root: somebody has put it there for us.
    pub fn allow_reading_all(&mut self) {
        self.allow_below(Path::new("/"), READ);
    }

    fn allow_below(&mut self, path: &Path, access: u64) {
        let Some(made) = &mut self.made else { return };
        let Ok(found) = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
            // What is not there needs no permission.
            return;
        };
        let is_directory =
            fstat(&found).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory);
        let possible = if is_directory { u64::MAX } else { OF_A_FILE };
        let access = access & made.handled.files & possible;
        match kernel::landlock_allow(made.ruleset.as_fd(), found.as_fd(), access) {
            Ok(()) => *made.allowed.entry(path.to_owned()).or_default() |= access,
            Err(error) => warn!("the sandbox refuses {}: {}", path.display(), reason(&error)),
        }
    }

    /// From here on, for this thread and those that it starts. `no_new_privs` has to be set.
    pub fn hold(self) {
        let Some(made) = self.made else { return };
        match kernel::landlock_hold(made.ruleset.as_fd()) {
            Ok(()) => {
                HELD.store(true, Relaxed);
                debug!("{}", made.said());
            }
            Err(error) => warn!("no sandbox: {}", reason(&error)),
        }
    }
}

impl Made {
    fn said(&self) -> String {
        let with = |right: u64| -> Vec<String> {
            let paths = self.allowed.iter().filter(|(_, access)| *access & right != 0);
            let shown: Vec<String> = paths.map(|(path, _)| path.display().to_string()).collect();
            // Nothing lies elsewhere.
            let root = shown.iter().find(|path| *path == "/").cloned();
            root.map_or(shown, |root| vec![root])
        };
        let mut said = format!("the sandbox holds (Landlock, version {}): ", self.version);
        for (right, what) in [(READ_FILE, "reads"), (WRITE_FILE, "writes"), (EXECUTE, "runs")] {
            let paths = with(right);
            if paths.is_empty() {
                said += &format!("{what} nothing, ");
            } else {
                said += &format!("{what} {}, ", listed(&paths, "and"));
            }
        }
        said + match (self.handled.network & CONNECT_TCP, self.handled.scope) {
            (0, _) => "connects anywhere",
            (_, 0) => "opens no TCP connection or port",
            _ => "opens no TCP connection or port, and signals nobody",
        }
    }
}

/// What the ruleset is about, as far as the kernel knows it.
fn handled(version: u32, needs: &[Need]) -> Handled {
    let mut files = FILES;
    if version >= 2 {
        files |= REFER;
    }
    if version >= 3 {
        files |= TRUNCATE;
    }
    // Whom a program of somebody else asks, or where an endpoint leads, is not for us to say.
    let open = needs.iter().any(|need| matches!(need, Need::Run(_) | Need::Dial));
    Handled {
        files,
        network: if version >= 4 && !open {
            BIND_TCP | CONNECT_TCP
        } else {
            0
        },
        scope: if version >= 6 && !open {
            ABSTRACT_UNIX_SOCKET | SIGNAL
        } else {
            0
        },
    }
}

/// What a need is about, and what is done there.
fn rules(need: &Need) -> Vec<(PathBuf, u64)> {
    let all = |places: Vec<PathBuf>, access: u64| -> Vec<_> {
        places.into_iter().map(|place| (place, access)).collect()
    };
    match need {
        Need::Read(path) => {
            let mut found = places_of(path);
            found.extend(holders_of_links(path));
            // A directory of certificates is often one of links.
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            found.extend(entries.filter_map(|entry| leads_to(&entry.path())));
            found.sort();
            found.dedup();
            all(found, READ)
        }
        Need::Write(path) if path.is_dir() => vec![(path.clone(), WRITE)],
        Need::Write(path) => all(places_of(path), WRITE_ONE),
        Need::Remove(path) => vec![(parent_of(path), REMOVE_FILE)],
        Need::Run(_) => {
            // Interpreters and libraries are anywhere.
            let mut found = vec![("/".into(), EXECUTE | READ)];
            found.extend(SCRATCH.iter().map(|path| (path.into(), WRITE)));
            found
        }
        Need::Dial => {
            let mut found: Vec<PathBuf> = NAMES.iter().chain(ROOTS).map(PathBuf::from).collect();
            found.extend(NAMES_LINKED.iter().filter_map(|path| leads_to(Path::new(path))));
            all(found, READ)
        }
    }
}

/// Where what this path names is now and will be later: where the path leads, and where it is itself.
fn places_of(path: &Path) -> Vec<PathBuf> {
    let mut places = vec![place_of(path)];
    places.extend(leads_to(path));
    places.dedup();
    places
}

/// The directories that hold the links on the way to a path: a release is often swapped by a new link in the place of the
/// old one, to another directory beside it. A link in the root is the system's, and everything is beside it.
fn holders_of_links(path: &Path) -> Vec<PathBuf> {
    let mut holders = Vec::new();
    let Ok(path) = std::path::absolute(path) else {
        return holders;
    };
    let mut ahead: Vec<PathBuf> = parts_of(&path);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        if part == Path::new("..") {
            at.pop();
            continue;
        }
        let Ok(to) = std::fs::read_link(at.join(&part)) else {
            at.push(part);
            continue;
        };
        if at.parent().is_some() {
            holders.push(at.clone());
        }
        links += 1;
        if links > LINKS_MAX {
            // It leads nowhere.
            return Vec::new();
        }
        if to.is_absolute() {
            at = "/".into();
        }
        ahead.extend(parts_of(&to));
    }
    holders
}

/// The names in a path, the first one last.
fn parts_of(path: &Path) -> Vec<PathBuf> {
    let named = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.rev().map(|part| part.as_os_str().into()).collect()
}

fn leads_to(path: &Path) -> Option<PathBuf> {
    Some(place_of(&path.canonicalize().ok()?))
}

/// The directory that a file is in, as files come and go. Directories, devices and pipes stay, and are it themselves.
fn place_of(path: &Path) -> PathBuf {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => path.to_owned(),
        _ => parent_of(path),
    }
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => ".".into(),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_old_kernel_does_not_know_is_not_asked_of_it() {
        let one = handled(1, &[]);
        assert_eq!((one.files, one.network, one.scope), ((1 << 13) - 1, 0, 0));
        assert_eq!(handled(2, &[]).files, (1 << 14) - 1);
        assert_eq!(handled(3, &[]).files, (1 << 15) - 1);
        assert_eq!(handled(4, &[]).network, 3);
        assert_eq!(handled(5, &[]).scope, 0);
        assert_eq!(handled(6, &[]).scope, 3);
    }

    #[test]
    fn who_dials_or_runs_programs_is_not_kept_from_the_network() {
        for need in [Need::Dial, Need::Run("/bin/true".into())] {
            let handled = handled(7, &[Need::Read("/etc".into()), need]);
            assert_eq!((handled.network, handled.scope), (0, 0));
        }
    }

    #[test]
    fn files_that_are_links_are_allowed_where_they_lead() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().canonicalize().unwrap().join(name);
        for name in ["live", "archive"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("archive/key.pem"), "").unwrap();
        std::os::unix::fs::symlink("../archive/key.pem", at("live/key.pem")).unwrap();
        let expected = [(at("archive"), READ), (at("live"), READ)];
        assert_eq!(rules(&Need::Read(at("live/key.pem"))), expected);
        assert_eq!(rules(&Need::Read(at("live"))), expected);
    }

    #[test]
    fn where_a_directory_is_a_link_what_is_beside_it_is_allowed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().canonicalize().unwrap().join(name);
        for name in ["c", "c/1", "c/2", "d"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("c/1/key.pem"), "").unwrap();
        std::os::unix::fs::symlink("1", at("c/live")).unwrap();
        std::os::unix::fs::symlink(at("c/live"), at("d/now")).unwrap();
        assert_eq!(holders_of_links(&at("c/1/key.pem")), Vec::<PathBuf>::new());
        assert_eq!(holders_of_links(&at("c/live/key.pem")), [at("c")]);
        assert_eq!(holders_of_links(&at("d/../d/now/key.pem")), [at("d"), at("c")]);
        assert!(rules(&Need::Read(at("d/now/key.pem"))).contains(&(at("c"), READ)));
        std::os::unix::fs::symlink("loop", at("loop")).unwrap();
        assert_eq!(holders_of_links(&at("loop/key.pem")), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_file_is_about_its_directory_and_a_device_about_itself() {
        let write = |path: &str| rules(&Need::Write(path.into()));
        assert_eq!(write("/nonexistent/a"), [("/nonexistent".into(), WRITE_ONE)]);
        assert_eq!(write("a"), [(".".into(), WRITE_ONE)]);
        assert_eq!(write("/etc"), [("/etc".into(), WRITE)]);
        assert_eq!(write("/dev/null"), [("/dev/null".into(), WRITE_ONE)]);
        let read = rules(&Need::Read("/dev/null".into()));
        assert_eq!(read, [("/dev/null".into(), READ)]);
        let remove = rules(&Need::Remove("/run/s".into()));
        assert_eq!(remove, [("/run".into(), REMOVE_FILE)]);
    }

    #[test]
    fn what_is_written_through_a_link_is_allowed_at_both_ends() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().canonicalize().unwrap().join(name);
        std::fs::create_dir(at("disk")).unwrap();
        std::fs::write(at("disk/file"), "").unwrap();
        std::os::unix::fs::symlink("disk/file", at("file")).unwrap();
        let expected = [(at(""), WRITE_ONE), (at("disk"), WRITE_ONE)];
        assert_eq!(rules(&Need::Write(at("file"))), expected);
    }

    #[test]
    fn who_dials_reads_how_names_are_found_and_no_more() {
        let rules = rules(&Need::Dial);
        assert!(rules.contains(&("/etc".into(), READ)));
        for (path, access) in rules {
            assert_eq!(access, READ);
            assert!(path.components().count() > 1, "{}", path.display());
        }
    }
}
