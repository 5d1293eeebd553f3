//! A file of commands, in TOML -> `Commands`, or what is wrong with it and in which line.
//! Absent: answering; and files that commands append to, which are opened when there is something to append.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::append::is_same;
use super::commands::{Append, Command, Commands, Pattern, Template, said};
use super::fields::{Fields, Wrong, ticked};
use super::template::{Names, template};
use crate::diagnostic::{Span, line_of, listed};
use crate::error::{Error, Result, Status};
use crate::whole::{self, Unread};

/// More than anybody writes by hand.
const LARGEST: u64 = 1024 * 1024;

/// Each line is held against the commands one by one.
const COMMANDS_MAX: usize = 1000;

const TOP: &[&str] = &["greeting", "unknown", "overlong", "unsaved", "command"];
const COMMAND: &[&str] = &["exact", "prefix", "regex", "reply", "append", "text", "close"];
const PATTERNS: &[&str] = &["exact", "prefix", "regex"];

/// Reads a file of commands, which `name` stands for in messages.
///
/// # Errors
/// It cannot be read (status 1), or is not as it should be (2).
pub(super) fn read(path: &Path, name: &str) -> Result<Commands> {
    let whole = whole::read(path, LARGEST).map_err(|unread| {
        let status = match unread {
            Unread::TooLarge(_) => Status::Usage,
            _ => Status::Failure,
        };
        Error::new(status, unread.to_string()).on(format!("could not read {name}"))
    })?;
    let text = String::from_utf8(whole.bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let number = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let why = format!("{name}, line {number}: not UTF-8");
        Error::new(Status::Usage, why)
    })?;
    commands(&text).map_err(|wrong| wrong.within(name, &text))
}

fn commands(text: &str) -> Result<Commands, Wrong> {
    let document = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(text.len()..text.len());
        Wrong::new(span, error.message().replace('\n', " "))
    })?;
    let fields = Fields::of(document.get_ref(), TOP)?;
    let mut commands = Commands::empty();
    commands.greeting = fields.text("greeting")?.map(|(_, text)| said(text));
    for (name, place) in [
        ("unknown", &mut commands.unknown),
        ("overlong", &mut commands.overlong),
        ("unsaved", &mut commands.unsaved),
    ] {
        if let Some((_, text)) = fields.text(name)? {
            *place = said(text);
        }
    }
    let Some(value) = fields.get("command") else {
        return Ok(commands);
    };
    let tables = match value.get_ref() {
        DeValue::Array(items) => items.iter().map(as_table).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let Some(tables) = tables else {
        let wrong = Wrong::new(value.span(), "a command is a table of its own");
        return Err(wrong.help("write `[[command]]` above each"));
    };
    if let Some((_, span)) = tables.get(COMMANDS_MAX) {
        let message = format!("more than {COMMANDS_MAX} commands");
        return Err(Wrong::new(span.clone(), message));
    }
    let mut places = Vec::new();
    for (table, span) in tables {
        let (command, place) = command(table, span, &mut commands.files)?;
        if let Some(earlier) = commands.list.iter().position(|earlier| covers(earlier, &command)) {
            let (number, _, _) = line_of(text, places[earlier]);
            let message =
                format!("this command is never reached: the one of line {number} takes all its lines");
            let help = "the first command that fits is meant, so the narrower one comes first";
            return Err(Wrong::new(place, message).help(help));
        }
        places.push(Span::new(place.start, place.end));
        commands.list.push(command);
    }
    Ok(commands)
}

fn as_table<'t, 'i>(value: &'t Spanned<DeValue<'i>>) -> Option<(&'t DeTable<'i>, Range<usize>)> {
    match value.get_ref() {
        DeValue::Table(table) => Some((table, value.span())),
        _ => None,
    }
}

/// A command, and where its pattern stands.
fn command(
    table: &DeTable<'_>,
    span: Range<usize>,
    files: &mut Vec<PathBuf>,
) -> Result<(Command, Range<usize>), Wrong> {
    let fields = Fields::of(table, COMMAND)?;
    let mut given = PATTERNS.iter().filter(|name| fields.get(name).is_some());
    let Some(kind) = given.next() else {
        let message = format!("a command needs {}", listed(&ticked(PATTERNS), "or"));
        return Err(Wrong::new(span, message));
    };
    if let Some(value) = given.next().and_then(|second| fields.get(second)) {
        let message = format!("a command has one of {}", listed(&ticked(PATTERNS), "and"));
        return Err(Wrong::new(value.span(), message));
    }
    let (place, text) = fields.required(kind, &span)?;
    let (pattern, names) = pattern(kind, text, &place)?;
    let filled = |name: &str, wire: bool| -> Result<Option<Template>, Wrong> {
        let Some((span, text)) = fields.text(name)? else {
            return Ok(None);
        };
        let made = template(text, &names, wire);
        made.map(Some).map_err(|message| {
            Wrong::new(span, message).help("`$1` stands for a part of the line, `$$` for a dollar sign")
        })
    };
    let reply = filled("reply", true)?;
    let own_text = filled("text", false)?;
    let append = match (fields.text("append")?, own_text) {
        (None, None) => None,
        (None, Some(_)) => {
            let (span, _) = fields.required("text", &span)?;
            return Err(Wrong::new(
                span,
                "`text` is what `append` appends, and that is not there",
            ));
        }
        (Some((span, "")), _) => return Err(Wrong::new(span, "`append` names a file")),
        (Some((span, path)), _) if path.contains('\0') => {
            return Err(Wrong::new(span, "the name of a file holds no NUL"));
        }
        (Some((_, path)), text) => Some(Append {
            file: file(files, path),
            // By default what is said after the prefix, or all of the line.
            text: text.unwrap_or_else(|| Template::capture(usize::from(*kind == "prefix"))),
        }),
    };
    let close = fields.flag("close")?;
    if reply.is_none() && append.is_none() && !close {
        let message = "this command does nothing: it needs `reply`, `append` or `close = true`";
        return Err(Wrong::new(place, message));
    }
    let command = Command {
        pattern,
        reply,
        append,
        close,
    };
    Ok((command, place))
}

/// The number of a file; the same path gets the same.
fn file(files: &mut Vec<PathBuf>, path: &str) -> usize {
    let path = PathBuf::from(path);
    let known = files.iter().position(|known| is_same(known, &path));
    known.unwrap_or_else(|| {
        files.push(path);
        files.len() - 1
    })
}

fn pattern(kind: &str, text: &str, place: &Range<usize>) -> Result<(Pattern, Names), Wrong> {
    if kind == "regex" {
        return regex(text, place);
    }
    if text.contains('\n') {
        return Err(Wrong::new(place.clone(), "a line holds no line end"));
    }
    Ok(if kind == "exact" {
        (Pattern::Exact(text.into()), Names::numbered(1))
    } else {
        (Pattern::Prefix(text.into()), Names::numbered(2))
    })
}

#[cfg(feature = "regex")]
fn regex(text: &str, place: &Range<usize>) -> Result<(Pattern, Names), Wrong> {
    /// Memory for one compiled pattern.
    const SIZE: usize = 1024 * 1024;
    let built = regex::bytes::RegexBuilder::new(text)
        .unicode(false)
        .size_limit(SIZE)
        .build();
    let regex = built.map_err(|error| {
        let message = match &error {
            regex::Error::CompiledTooBig(_) => "it grows too large".to_owned(),
            // Several lines with a picture of their own; the last one says what it is.
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
        };
        Wrong::new(place.clone(), format!("not a regular expression: {message}"))
    })?;
    let names = Names(
        regex
            .capture_names()
            .map(|name| name.map(str::to_owned))
            .collect(),
    );
    Ok((Pattern::Regex(regex), names))
}

#[cfg(not(feature = "regex"))]
fn regex(_text: &str, place: &Range<usize>) -> Result<(Pattern, Names), Wrong> {
    let message = "this netkit was built without regular expressions (feature `regex`)";
    Err(Wrong::new(place.clone(), message))
}

/// Whether every line that fits `later` fits `earlier`, as far as that can be told.
fn covers(earlier: &Command, later: &Command) -> bool {
    match (&earlier.pattern, &later.pattern) {
        (pattern, Pattern::Exact(line)) => pattern.fit(line).is_some(),
        (Pattern::Prefix(short), Pattern::Prefix(long)) => long.starts_with(short),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is answered, and what is to be appended.
    fn answer(commands: &Commands, line: &str) -> (String, String) {
        let (mut reply, mut text) = (Vec::new(), Vec::new());
        commands.act(line.as_bytes(), &mut reply, &mut text);
        (
            String::from_utf8(reply).unwrap(),
            String::from_utf8(text).unwrap(),
        )
    }

    #[test]
    fn every_kind_of_command_is_read() {
        let commands = commands(
            r#"
greeting = "Welcome\nto the shop"
unknown = "What?"
[[command]]
exact = "price"
reply = "$$5"
[[command]]
prefix = "order "
append = "orders"
reply = "ordered: $1 ($0)"
[[command]]
regex = '^add (\d+) (?<to>\d+)$'
append = "sums"
text = "$1+$to"
[[command]]
exact = "log"
append = ".//orders"
close = true
"#,
        )
        .unwrap();
        assert_eq!(
            commands.greeting.as_deref(),
            Some(&b"Welcome\r\nto the shop\r\n"[..])
        );
        assert_eq!(commands.files, [PathBuf::from("orders"), PathBuf::from("sums")]);
        let said = |line| answer(&commands, line);
        assert_eq!(said("price"), ("$5\r\n".into(), String::new()));
        assert_eq!(said("order x"), ("ordered: x (order x)\r\n".into(), "x\n".into()));
        assert_eq!(said("add 1 23"), (String::new(), "1+23\n".into()));
        assert_eq!(said("log"), (String::new(), "log\n".into()));
        assert_eq!(said("add x"), ("What?\r\n".into(), String::new()));
        assert_eq!(commands.overlong, b"ERROR line too long\r\n");
    }

    #[cfg(feature = "regex")]
    #[test]
    fn regular_expressions_are_about_bytes() {
        let commands = commands("[[command]]\nregex = '^\\xff.\u{e9}$'\nreply = \"yes\"").unwrap();
        let (mut reply, mut text) = (Vec::new(), Vec::new());
        commands.act(b"\xff\xfe\xc3\xa9", &mut reply, &mut text);
        assert_eq!(reply, b"yes\r\n");
    }

    #[cfg(feature = "regex")]
    #[test]
    fn the_example_of_the_manual_is_true() {
        let (_, example) = super::super::MANUAL.split_once("\nExample:\n").unwrap();
        let commands = commands(&example.replace("\n  ", "\n")[2..]).unwrap();
        for (line, reply) in [
            ("price", "$5 each\r\n"),
            ("order tea", "Noted: tea\r\n"),
            ("add 1 2", "1 and 2\r\n"),
            ("bye", "Come again.\r\n"),
            ("hello", "What?\r\n"),
        ] {
            assert_eq!(answer(&commands, line).0, reply);
        }
        // Every key is documented.
        for key in TOP.iter().chain(COMMAND) {
            assert!(super::super::MANUAL.contains(key), "{key}");
        }
    }

    #[test]
    fn an_empty_file_knows_no_command() {
        let commands = commands("").unwrap();
        assert!(commands.greeting.is_none());
        assert_eq!(answer(&commands, "hello").0, "Unknown command\r\n");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, place, message) in [
            ("greting = 'x'", "greting", "unknown key `greting`"),
            ("greeting = 5", "5", "`greeting` is a text in quotation marks"),
            ("command = 5", "5", "a command is a table of its own"),
            (
                "[[command]]\nexact = 'a'\nrepl = 'b'",
                "repl",
                "unknown key `repl`",
            ),
            (
                "[[command]]\nexact = 'a'",
                "'a'",
                "this command does nothing: it needs `reply`, `append` or `close = true`",
            ),
            (
                "[[command]]\nreply = 'a'",
                "[[command]]",
                "a command needs `exact`, `prefix` or `regex`",
            ),
            (
                "[[command]]\nexact = 'a'\nregex = 'b'",
                "'b'",
                "a command has one of `exact`, `prefix` and `regex`",
            ),
            (
                "[[command]]\nexact = 'a'\nclose = 'yes'",
                "'yes'",
                "`close` is true or false",
            ),
            (
                "[[command]]\nexact = \"a\\n\"\nclose = true",
                "\"a\\n\"",
                "a line holds no line end",
            ),
            (
                "[[command]]\nexact = 'a'\ntext = 'b'",
                "'b'",
                "`text` is what `append` appends, and that is not there",
            ),
            (
                "[[command]]\nexact = 'a'\nappend = ''",
                "''",
                "`append` names a file",
            ),
            (
                "[[command]]\nexact = 'a'\nreply = '$1'",
                "'$1'",
                "there is no `$1` here",
            ),
            (
                "[[command]]\nprefix = 'a'\nclose = true\n[[command]]\nexact = 'ab'\nclose = true",
                "'ab'",
                "this command is never reached: the one of line 2 takes all its lines",
            ),
            (
                "[[command]]\nprefix = 'a'\nclose = true\n[[command]]\nprefix = 'ab'\nclose = true",
                "'ab'",
                "this command is never reached: the one of line 2 takes all its lines",
            ),
        ] {
            let wrong = commands(text).unwrap_err();
            assert_eq!(wrong.message, message, "{text}");
            assert_eq!(
                &text[wrong.span.start..wrong.span.end],
                place,
                "{text}: {message}"
            );
        }
        #[cfg(feature = "regex")]
        for (pattern, message) in [
            ("(", "not a regular expression: unclosed group"),
            ("(a{1000}){1000}", "not a regular expression: it grows too large"),
        ] {
            let text = format!("[[command]]\nregex = '{pattern}'\nclose = true");
            assert_eq!(commands(&text).unwrap_err().message, message);
        }
    }

    #[test]
    fn a_file_that_is_none_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.toml");
        let said = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path, "c.toml").unwrap_err();
            assert_eq!(error.status(), Status::Usage);
            error.to_string()
        };
        assert_eq!(said(b"# \xc3\xa9\n\xff"), "c.toml, line 2: not UTF-8");
        assert_eq!(
            said(&vec![b'#'; 1_100_000]),
            "could not read c.toml: it is longer than 1MiB"
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, "c.toml").unwrap_err().status(), Status::Failure);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_with_a_picture(text in "(?s).{0,80}", key in "[a-z]{1,8}") {
            for text in [text.clone(), format!("[[command]]\n{key} = '{text}'\nreply = '''{text}'''")] {
                if let Err(wrong) = commands(&text) {
                    let error = wrong.within("f", &text);
                    prop_assert!(!error.why().contains('\n'), "{}", error.why());
                    prop_assert!(error.picture_text().is_some_and(|picture| picture.contains('^')));
                }
            }
        }
    }
}
