//! What of a script can be read before it is played: endpoint strings, files, programs.
//! Absent: names.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::check::Walk;
use super::refusal::{Kind, Wrong, shown};
use super::step::{Holder, Piece, Place, Text, Variable};
use crate::diagnostic::{Span, quoted};
use crate::endpoint::{Refused, Role};
use crate::error::reason;
use crate::transport::reading::{ClientEndpoint, ServerEndpoint};

impl Walk<'_> {
    pub(super) fn endpoint(&mut self, text: &Text, role: Role) {
        self.text(text);
        let Some(literal) = text.literal() else {
            return;
        };
        let literal = OsStr::from_bytes(literal);
        let read = match role {
            Role::Client => ClientEndpoint::parse(literal).map(|endpoint| endpoint.type_name()),
            Role::Server => ServerEndpoint::parse(literal).map(|endpoint| endpoint.type_name()),
        };
        match read {
            // Those of the process, which the scripts of a run would share.
            Ok(name @ ("stdio" | "fd" | "systemd")) => {
                let message = format!("a script has no {} endpoint of its own", quoted(name));
                self.wrongs
                    .push(Wrong::new(Kind::BadEndpoint, text.place, message));
            }
            Ok(_) => {}
            Err(refused) => self.wrongs.push(self.refused(text, refused)),
        }
    }

    /// The same place in the script as in the endpoint string, where it was written without escapes and variables.
    fn refused(&self, text: &Text, refused: Refused) -> Wrong {
        let diagnostic = refused.diagnostic;
        let written = self
            .script
            .sources
            .get(text.place.source)
            .and_then(|source| source.text.get(text.place.span.start..text.place.span.end))
            .unwrap_or_default();
        let before = written
            .find(&diagnostic.source)
            .filter(|at| *at <= 1 && !diagnostic.source.is_empty());
        let place = match before {
            Some(before) => Place {
                span: Span::new(
                    text.place.span.start + before + diagnostic.span.start,
                    text.place.span.start + before + diagnostic.span.end,
                ),
                ..text.place
            },
            None => text.place,
        };
        Wrong {
            kind: Kind::BadEndpoint,
            place,
            message: diagnostic.message,
            help: diagnostic.help,
        }
    }

    /// The text, where all of it is known already.
    fn now(&self, text: &Text) -> Option<OsString> {
        let mut bytes = Vec::new();
        for piece in &text.pieces {
            match piece {
                Piece::Bytes(plain) => bytes.extend_from_slice(plain),
                Piece::Variable(Variable {
                    of: Holder::Directory,
                    place,
                    ..
                }) => bytes.extend_from_slice(self.script.folder(*place).as_os_str().as_bytes()),
                Piece::Variable(Variable {
                    of: Holder::Environment(name),
                    ..
                }) => bytes.extend_from_slice(env::var_os(name)?.as_bytes()),
                Piece::Variable(_) => return None,
            }
        }
        Some(OsString::from_vec(bytes))
    }

    pub(super) fn file(&mut self, file: &Text) {
        let Some(name) = self.now(file) else {
            return;
        };
        let path = self.script.folder(file.place).join(name);
        let why = match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => String::from("it is a directory, not a file"),
            Ok(_) => return,
            Err(error) => reason(&error),
        };
        let message = format!("could not read {}: {why}", shown(&path));
        self.wrongs.push(Wrong::new(Kind::BadFile, file.place, message));
    }

    /// A program whose name is known has to be there.
    pub(super) fn program(&mut self, program: &Text) {
        let Some(name) = self.now(program) else {
            return;
        };
        let path = Path::new(&name);
        if path.is_relative()
            && name.as_bytes().contains(&b'/')
            && self.script.folder(program.place).join(path).is_file()
        {
            let path = path.strip_prefix(".").unwrap_or(path).to_string_lossy();
            let message = format!(
                "{} is looked for in $TMP, where parts run",
                quoted(&name.to_string_lossy())
            );
            let wrong = Wrong::new(Kind::BadFile, program.place, message);
            self.wrongs.push(wrong.help(format!(
                "the one beside the script is `$DIR/{path}`; one that a part makes is `$TMP/{path}`"
            )));
            return;
        }
        let found = match name.as_bytes() {
            bytes if bytes.contains(&b'/') => path.is_relative() || path.is_file(),
            _ => env::var_os("PATH")
                .is_some_and(|all| env::split_paths(&all).any(|folder| folder.join(path).is_file())),
        };
        if !found || name.is_empty() {
            let message = format!("there is no program {}", quoted(&name.to_string_lossy()));
            self.wrongs
                .push(Wrong::new(Kind::BadFile, program.place, message));
        }
    }
}
