//! What a part of a server asks of the system while it runs, so that the rest can be refused it.
//! Absent: refusing.

use std::path::PathBuf;

/// One thing that is asked for, again and again, after all is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// A file, or all below a directory, is read.
    Read(PathBuf),
    /// A file is written, and made where it is missing. Of a directory, all below it is made, replaced and removed.
    Write(PathBuf),
    /// A file that we made is removed in the end.
    Remove(PathBuf),
    /// A program is run. What it asks for in its turn, nobody knows.
    Run(PathBuf),
    /// Others are dialled, by name perhaps, and verified by the roots of the system. Files that the endpoint names are
    /// needs of their own.
    Dial,
}
