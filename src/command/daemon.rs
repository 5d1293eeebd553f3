//! Running as a daemon, and as somebody else: the order of the steps, for every verb that serves.
//! Absent: how a step is done.
//!
//! 1. The mask, before any file is made; the log, which may be where the new user cannot write.
//! 2. Strings and flags are read, users and groups looked up, the new root and directory opened: what is wrong with
//!    them is said before anything is touched.
//! 3. The child. What comes bears its number: the pid file, the locks of sockets.
//! 4. The pid file, so that of two daemons the second one hears about the first, not about its ports.
//! 5. Keys are read and all is bound, or nothing ([`Daemon::begin`] came before, [`Daemon::settle`] comes after).
//! 6. The recording and the ready file, whose paths are the caller's.
//! 7. What nobody has taken over is closed. The socket of the service manager and the directories in which something is
//!    to be removed are open by now; so the root can change, and the directory.
//! 8. The log is given to the new user, if it was made here. It is seen, as the new user and in the new place, whether what is needed later can be had: root can still remove
//!    what was made. Then groups, group, user and capabilities go for good, and it is seen whether root could be had
//!    back.
//! 9. `no_new_privs` and the sandbox, before there are other threads, which inherit them. What the sandbox is to allow
//!    is looked up before step 7 where a directory is held open, and after it where a path will be followed.
//! 10. Readiness is told, standard error included; then the daemon leaves its session and its parent goes
//!     ([`Daemon::detach`]).

use std::path::{Path, PathBuf};

use tracing::{debug, warn};

use crate::cli::options::DaemonOptions;
use netkit::error::{Error, Result, Status, reason};
use netkit::need::Need;
use netkit::process::daemon::{self, Detaching, Side};
use netkit::process::log::Log;
use netkit::process::notify;
use netkit::process::pidfile::PidFile;
use netkit::process::place::{Place, change_directory, check};
use netkit::process::privileges::{Identity, no_new_privileges};
use netkit::process::sandbox::Sandbox;
use netkit::server::ready::TARGET;
use netkit::transport::reading::ServerEndpoint;

/// What the options ask for, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Daemon {
    detaching: Option<Detaching>,
    sandboxed: bool,
    identity: Option<Identity>,
    root: Option<Place>,
    directory: Directory,
    /// Removed with this, when all else is over.
    pidfile: Option<PidFile>,
}

/// Where to run.
#[derive(Debug, Default)]
enum Directory {
    #[default]
    Same,
    /// A path, once the root has changed.
    At(PathBuf),
    Found(Place),
    /// Nobody has named one.
    Root,
}

/// Which of two processes goes on.
pub(super) enum Begun {
    /// This one.
    Here(Daemon),
    /// A child; this one is to end.
    Elsewhere(Status),
}

impl Daemon {
    /// Steps 2 to 4: all that comes before binding.
    ///
    /// # Errors
    /// Status 2: an option that cannot be followed; 1: what the system says, a pid file that is held.
    pub(super) fn begin<'a>(
        options: &DaemonOptions,
        log: &Log,
        endpoints: impl IntoIterator<Item = &'a ServerEndpoint>,
    ) -> Result<Begun> {
        let identity = Identity::find(options.user.as_deref(), options.group.as_deref())?;
        let root = options
            .chroot
            .as_deref()
            .map(|path| Place::find(path, "--chroot"))
            .transpose()?;
        let directory = match &options.rundir {
            Some(path) if root.is_some() => Directory::At(path.clone()),
            Some(path) => Directory::Found(Place::find(path, "--rundir")?),
            None if options.daemonize || root.is_some() => Directory::Root,
            None => Directory::Same,
        };
        let mut detaching = None;
        if options.daemonize {
            fit_for_the_background(endpoints)?;
            if log.is_on_standard_error() {
                warn!("the log ends when the daemon detaches; --log-file or --syslog keeps it");
            }
            match daemon::fork()? {
                Side::Parent(status) => return Ok(Begun::Elsewhere(status)),
                Side::Child(child) => detaching = Some(child),
            }
        }
        let pidfile = options.pidfile.as_deref().map(PidFile::take).transpose()?;
        Ok(Begun::Here(Daemon {
            sandboxed: !options.no_sandbox && (options.daemonize || identity.is_some() || root.is_some()),
            detaching,
            identity,
            root,
            directory,
            pidfile,
        }))
    }

    /// Steps 7 to 9: what is given up once all is bound. There must not be other threads yet.
    ///
    /// # Errors
    /// Status 1: what the system says; nothing may be served then.
    pub(super) fn settle(&mut self, log: &Log, needs: &[Need]) -> Result<()> {
        let elsewhere = self.root.is_some() || self.identity.is_some();
        notify::connect();
        if elsewhere || self.detaching.is_some() {
            daemon::close_inherited()?;
        }
        if self.detaching.is_some() {
            notify::main_process();
        }
        let mut sandbox = self.sandboxed.then(|| Sandbox::new(needs));
        if let Some(sandbox) = &mut sandbox {
            if let Some(path) = log.path() {
                sandbox.allow_log(path);
            }
            let pidfile = self
                .pidfile
                .as_ref()
                .map(|file| Need::Remove(file.path().to_owned()));
            sandbox.allow(&pidfile);
            sandbox.allow(needs.iter().filter(|need| matches!(need, Need::Remove(_))));
        }
        let made = made(self.pidfile.as_ref(), needs);
        let has_other_root = self.root.is_some();
        if let Some(root) = self.root.take() {
            log.keep_directory()?;
            root.become_root()?;
            if self.identity.is_none() {
                warn!(
                    "root finds the way out of {}; --user shuts the server in",
                    root.shown().display()
                );
            }
        }
        match std::mem::take(&mut self.directory) {
            Directory::Same => {}
            Directory::Found(place) => place.enter()?,
            Directory::At(path) => change_directory(&path)?,
            Directory::Root => {
                change_directory(Path::new("/"))?;
                let relative = needs.iter().find_map(|need| match need {
                    Need::Write(path) if path.is_relative() => Some(path.display()),
                    _ => None,
                });
                if let Some(path) = relative {
                    warn!("{path} is written in /, where a daemon runs; --rundir names another directory");
                }
            }
        }
        let look = || {
            check(needs)?;
            foresee(&made, log);
            Ok(())
        };
        match self.identity {
            Some(identity) => {
                if let Err(error) = log.give(identity) {
                    debug!("the log keeps its owner: {}", reason(&error));
                }
                identity.try_on(look)?;
                identity.shed()?;
            }
            None if has_other_root => look()?,
            None => {}
        }
        if let Some(mut sandbox) = sandbox {
            sandbox.allow(needs.iter().filter(|need| !matches!(need, Need::Remove(_))));
            sandbox.allow_system();
            if has_other_root {
                sandbox.allow_reading_all();
            }
            no_new_privileges()?;
            sandbox.hold();
        }
        Ok(())
    }

    /// Step 10: lets go of whoever started us.
    ///
    /// # Errors
    /// Status 1: what the system says; whoever started us is gone.
    pub(super) fn detach(&mut self) -> Result<()> {
        self.detaching.take().map_or(Ok(()), Detaching::detach)
    }
}

/// What is to be removed in the end, and the directories that it is in.
fn made(pidfile: Option<&PidFile>, needs: &[Need]) -> Vec<(PathBuf, Place)> {
    let removed = needs.iter().filter_map(|need| match need {
        Need::Remove(path) => Some(path.as_path()),
        _ => None,
    });
    pidfile
        .map(PidFile::path)
        .into_iter()
        .chain(removed)
        .filter_map(|path| Some((path.to_owned(), Place::of_file(path)?)))
        .collect()
}

/// Says what whoever serves will not be able to do. Who starts it hears that too, wherever the log goes.
fn foresee(made: &[(PathBuf, Place)], log: &Log) {
    for (path, directory) in made {
        if let Err(error) = directory.check_removing() {
            warn!(
                target: TARGET,
                "{} will stay behind in the end: {}; a directory of the user's own, such as RuntimeDirectory= \
                 makes, is the place for it",
                path.display(),
                reason(&error)
            );
        }
    }
    if let (Some(path), Err(error)) = (log.path(), log.check_reopening()) {
        warn!(
            target: TARGET,
            "SIGHUP will not open the log {} again: {}; it can if the file is the user's, or missing in a directory of the user's",
            path.display(),
            reason(&error)
        );
    }
}

/// Refuses what the caller alone has.
fn fit_for_the_background<'a>(endpoints: impl IntoIterator<Item = &'a ServerEndpoint>) -> Result<()> {
    let why = |endpoint: &ServerEndpoint| match endpoint.type_name() {
        "stdio" => Some("a daemon has no standard input and output"),
        "systemd" => {
            Some("sockets are passed to the process that the service manager starts, not to its child")
        }
        _ => None,
    };
    match endpoints
        .into_iter()
        .find_map(|endpoint| Some((endpoint, why(endpoint)?)))
    {
        None => Ok(()),
        Some((endpoint, why)) => {
            Err(Error::new(Status::Usage, why)
                .on(format!("could not use --daemonize with {}", endpoint.text())))
        }
    }
}
