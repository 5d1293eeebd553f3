//! The commands that hold at present: where they come from, and the open files that they append to.
//! Absent: who talks, and when they are read again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use super::Unfit;
use super::append::{Appender, is_same};
use super::commands::Commands;
use super::round::Round;
#[cfg(feature = "config")]
use super::table;
use crate::endpoint::Args;
#[cfg(feature = "config")]
use crate::endpoint::Kind;
use crate::error::Result;
#[cfg(feature = "config")]
use crate::error::{Error, Status};
#[cfg(feature = "config")]
use crate::whole;

/// Where the commands come from.
pub(super) enum Source {
    /// They are our own; texts go to this file.
    BuiltIn(PathBuf),
    #[cfg(feature = "config")]
    File {
        path: PathBuf,
        /// As the user wrote it.
        given: String,
    },
}

impl Source {
    pub(super) fn of(args: &Args) -> Result<Self, Unfit> {
        #[cfg(feature = "config")]
        if args.given("commands") {
            if args.given("file") {
                let message =
                    "`--file` is for the built-in commands; with `--commands`, `append` names files";
                return Err(args.refuse("file", Kind::Conflict, message).into());
            }
            let given = args.text("commands").to_owned();
            // It is read again, perhaps from another directory.
            let path = std::path::absolute(&given);
            let path = path.map_err(|error| Error::io(Status::Failure, &error))?;
            return Ok(Source::File { path, given });
        }
        Ok(Source::BuiltIn(args.text("file").into()))
    }

    /// The file that is read again.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Source::BuiltIn(_) => None,
            #[cfg(feature = "config")]
            Source::File { path, .. } => Some(path),
        }
    }

    pub(super) fn read(&self) -> Result<Commands> {
        match self {
            Source::BuiltIn(file) => Ok(Commands::built_in(file)),
            #[cfg(feature = "config")]
            Source::File { path, given } => table::read(path, given),
        }
    }

    /// Reads again what is not our own, and says what that was.
    pub(super) fn reread(&self) -> Result<Option<(Commands, String)>> {
        match self {
            Source::BuiltIn(_) => Ok(None),
            #[cfg(feature = "config")]
            Source::File { path, given } => {
                let failed = |error: Error| error.on("kept the commands as they were");
                // Drained, a pipe would pass for an empty file.
                if whole::is_pipe(path) {
                    let why = format!("{given} is a pipe, which is read at the start only");
                    return Err(failed(Error::new(Status::Failure, why)));
                }
                let commands = table::read(path, given).map_err(failed)?;
                Ok(Some((commands, given.clone())))
            }
        }
    }
}

/// The commands, and the files that they append to.
pub(super) struct Current {
    pub(super) commands: Commands,
    pub(super) files: Vec<Arc<Appender>>,
}

impl Current {
    /// Two that write to one file would be in each other's way, so those in use are taken over.
    pub(super) fn new(commands: Commands, before: &[Arc<Appender>]) -> Self {
        let appender = |path: &PathBuf| match before.iter().find(|file| is_same(file.path(), path)) {
            Some(file) => Arc::clone(file),
            None => {
                let file = Appender::new(path.clone());
                // It may be all right by the time that there is something to save.
                if let Some(why) = file.obstacle() {
                    warn!("nothing can be saved to {} so far: {why}", path.display());
                }
                Arc::new(file)
            }
        };
        let files = commands.files.iter().map(appender).collect();
        Current { commands, files }
    }

    /// What goes out, once what is to be saved is on disk or is known not to be.
    pub(super) async fn settle(&self, mut round: Round) -> Vec<u8> {
        let mut saved = Vec::new();
        for save in std::mem::take(&mut round.saves) {
            saved.push(match self.files.get(save.file) {
                Some(file) => file.save(save.text).await.is_ok(),
                None => false,
            });
        }
        round.settled(&self.commands, &saved)
    }
}
