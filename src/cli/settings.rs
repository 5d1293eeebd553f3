//! The settings of protocols as flags: what a protocol lists in its table can be given by name.
//! Absent: what the settings mean.

use std::sync::Arc;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};

use netkit::endpoint::{Param, ValueKind};
use netkit::error::{Error, Result, Status};
use netkit::protocol::{PROTOCOLS, Protocol, Service, set_up};
use netkit::transport::reading::Dialler;

/// The settings that were given, with the names of their table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    single: Vec<(&'static str, String)>,
    repeated: Vec<(&'static str, String)>,
}

/// All settings by name: what they look like, and the protocols that have them.
fn all() -> Vec<(&'static Param, Vec<&'static str>)> {
    let mut all: Vec<(&'static Param, Vec<&'static str>)> = Vec::new();
    for protocol in PROTOCOLS {
        for setting in protocol.settings.iter().chain(protocol.repeated) {
            match all.iter_mut().find(|(known, _)| known.name == setting.name) {
                Some((_, owners)) => owners.push(protocol.name),
                None => all.push((setting, vec![protocol.name])),
            }
        }
    }
    all
}

fn is_repeated(name: &str) -> bool {
    PROTOCOLS
        .iter()
        .flat_map(|protocol| protocol.repeated)
        .any(|setting| setting.name == name)
}

fn has(protocol: &Protocol, name: &str) -> bool {
    let mut settings = protocol.settings.iter().chain(protocol.repeated);
    settings.any(|setting| setting.name == name)
}

fn flag(setting: &'static Param, owners: &[&str]) -> Arg {
    let arg = Arg::new(setting.name)
        .long(setting.name)
        .value_parser(ValueParser::string())
        .help_heading("Settings of protocols")
        .help(format!("{}: {}", owners.join(", "), setting.doc));
    match setting.value {
        // Said without a value, it is a yes.
        ValueKind::Flag => arg
            .value_name("YES|NO")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("yes"),
        ValueKind::Path => arg.value_name("PATH").value_hint(ValueHint::FilePath),
        _ => arg
            .value_name(match setting.value {
                ValueKind::Duration { .. } => "DURATION".to_owned(),
                ValueKind::Port { .. } => "PORT".to_owned(),
                _ => setting.name.to_uppercase(),
            })
            .allow_hyphen_values(true)
            .action(if is_repeated(setting.name) {
                ArgAction::Append
            } else {
                ArgAction::Set
            }),
    }
}

impl clap::Args for Settings {
    fn augment_args(mut command: Command) -> Command {
        for (setting, owners) in all() {
            command = command.arg(flag(setting, &owners));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let mut settings = Settings::default();
        for (setting, _) in all() {
            let given = matches.get_many::<String>(setting.name).unwrap_or_default();
            let given = given.map(|value| (setting.name, value.clone()));
            match is_repeated(setting.name) {
                true => settings.repeated.extend(given),
                false => settings.single.extend(given),
            }
        }
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Settings {
    /// The protocol of that name, with these settings.
    ///
    /// # Errors
    /// Status 2: there is no such protocol, a setting belongs to another, or its value is refused.
    pub(crate) fn service(&self, name: &str) -> Result<Service> {
        let Some(protocol) = PROTOCOLS.iter().find(|protocol| protocol.name == name) else {
            return Err(Error::new(
                Status::Usage,
                format!("there is no protocol `{name}`"),
            ));
        };
        for (setting, _) in self.single.iter().chain(&self.repeated) {
            if !has(protocol, setting) {
                return Err(Error::new(
                    Status::Usage,
                    format!("`--{setting}` is not a setting of {name}"),
                ));
            }
        }
        let given = [&self.single[..], &self.repeated].concat();
        set_up(name, &given, Arc::new(Dialler))
    }
}
