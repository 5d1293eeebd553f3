//! `cert`: making certificates and keys, and looking at them.
//! Absent: how either is done.

mod doctor;
mod make;
mod pages;
mod remedy;
mod show;
mod trust;

use clap::{Args, Subcommand};

use netkit::error::{Result, Status};

/// Make certificates and keys, and look at them
#[derive(Debug, Args)]
pub(crate) struct Cert {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    SelfSigned(make::SelfSigned),
    Ca(make::Ca),
    Issue(make::Issue),
    Show(show::Show),
    Trust(trust::Trust),
}

impl Cert {
    pub(super) fn run(self) -> Result<Status> {
        match self.verb {
            Verb::SelfSigned(verb) => verb.run(),
            Verb::Ca(verb) => verb.run(),
            Verb::Issue(verb) => verb.run(),
            Verb::Show(verb) => verb.run(),
            Verb::Trust(verb) => verb.run(),
        }
    }
}
