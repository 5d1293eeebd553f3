//! `completions`: the script that teaches a shell the flags of netkit.
//! Absent: completing while a user types, which `main` does where a shell asks for it.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::report::print;
use netkit::error::{Result, Status};

const NOTES: &str = "\
Notes:
  The script knows verbs and flags. A shell that asks netkit itself completes
  endpoint strings as well: in bash, `source <(COMPLETE=bash netkit)`; zsh,
  fish, elvish and powershell take their own name in place of bash.

Examples:
  netkit completions bash > netkit.bash";

/// Print the completion script for a shell
#[derive(Debug, Args)]
#[command(after_long_help = NOTES)]
pub(crate) struct Completions {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<Status> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "netkit", &mut script);
        print(&script)
    }
}
