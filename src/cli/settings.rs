//! The settings of protocols as flags: what a protocol lists in its table can be given by name.
//! Absent: what the settings mean.

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches, Command};

use netkit::endpoint::{Args, Role, Spec};
use netkit::error::{Error, Result, Status};
use netkit::protocol::{PROTOCOLS, Protocol, Service};

/// The settings that were given, with the names of their table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(Vec<(&'static str, String)>);

/// The names of all settings, each with the protocols that have it.
fn all() -> impl Iterator<Item = (&'static str, Vec<&'static Protocol>)> {
    let mut names: Vec<&'static str> = Vec::new();
    for setting in PROTOCOLS.iter().flat_map(|protocol| protocol.settings) {
        if !names.contains(&setting.name) {
            names.push(setting.name);
        }
    }
    names.into_iter().map(|name| {
        let having = PROTOCOLS.iter().filter(|protocol| has(protocol, name)).copied();
        (name, having.collect())
    })
}

fn has(protocol: &Protocol, name: &str) -> bool {
    protocol.settings.iter().any(|setting| setting.name == name)
}

impl clap::Args for Settings {
    fn augment_args(mut command: Command) -> Command {
        for (name, having) in all() {
            let owners: Vec<_> = having.iter().map(|protocol| protocol.name).collect();
            let doc = having
                .iter()
                .flat_map(|protocol| protocol.settings)
                .find(|setting| setting.name == name)
                .map_or("", |setting| setting.doc);
            command = command.arg(
                Arg::new(name)
                    .long(name)
                    .value_name(name.to_uppercase())
                    .value_parser(ValueParser::string())
                    .allow_hyphen_values(true)
                    .help_heading("Settings of protocols")
                    .help(format!("{}: {doc}", owners.join(", "))),
            );
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let given =
            all().filter_map(|(name, _)| matches.get_one::<String>(name).map(|value| (name, value.clone())));
        Ok(Settings(given.collect()))
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
        for (setting, _) in &self.0 {
            if !has(protocol, setting) {
                return Err(Error::new(
                    Status::Usage,
                    format!("`--{setting}` is not a setting of {name}"),
                ));
            }
        }
        let spec = self
            .0
            .iter()
            .fold(Spec::new(name), |spec, (name, value)| spec.keyword(*name, value));
        let refused = match Args::read(&spec, Role::Server, protocol.settings) {
            Ok(args) => match (protocol.service)(&args) {
                Ok(service) => return Ok(service),
                Err(refused) => refused,
            },
            Err(refused) => refused,
        };
        Err(Error::new(Status::Usage, refused.diagnostic.message).on(format!("could not set up {name}")))
    }
}
