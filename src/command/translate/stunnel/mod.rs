//! stunnel: its file of services, each of which is a relay with TLS at one end.
//! Absent: reading the file from a disk.

mod service;

use netkit::diagnostic::Span;

use self::service::{ROWS, Service};
use super::options::Given;
use super::told::{Told, Translation};
use super::words::{Unread, Word};

/// More services than this are no file of a person.
const SERVICES_MAX: usize = 1000;

/// A line that has no reading: its number, and where in it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) number: usize,
    pub(super) line: String,
    pub(super) unread: Unread,
}

/// Reads the text of a file, and makes a line of each service.
pub(super) fn translate(text: &str) -> Result<Translation, Fault> {
    let mut told = Told::default();
    // What stands in front is the start of every service.
    let mut start = Service::default();
    let mut services: Vec<(usize, String, Service)> = Vec::new();
    let fault = |number: usize, line: &str, unread| Fault {
        number,
        line: line.to_owned(),
        unread,
    };
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let number = at + 1;
        let word = |start: usize, end: usize| Word {
            text: line.get(start..end).unwrap_or_default().to_owned(),
            span: Span::new(start, end),
        };
        let whole = trimmed(&word(0, line.len()));
        if whole.text.is_empty() || whole.text.starts_with([';', '#']) {
            continue;
        }
        if let Some(name) = whole
            .text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            if services.len() == SERVICES_MAX {
                return Err(fault(number, line, whole.refuse("there are too many services")));
            }
            let service = start.named(name, whole.span);
            services.push((number, line.to_owned(), service));
            continue;
        }
        let Some(equals) = line.find('=') else {
            return Err(fault(
                number,
                line,
                whole.refuse("neither NAME = VALUE nor [SERVICE]"),
            ));
        };
        let (name, value) = (trimmed(&word(0, equals)), trimmed(&word(equals + 1, line.len())));
        let service = services.last_mut().map_or(&mut start, |(_, _, service)| service);
        let given = Given {
            name: name.text.clone(),
            value,
            span: name.span,
        };
        let key = name.text.to_ascii_lowercase();
        match ROWS.iter().find(|row| row.names.contains(&key.as_str())) {
            Some(row) => row
                .heed(service, &given, &mut told)
                .map_err(|unread| fault(number, line, unread))?,
            None => given.lose(&mut told, "netkit has nothing like it"),
        }
    }
    if services.is_empty() {
        start.name = "stunnel".into();
        let last = text.lines().count().max(1);
        services.push((last, text.lines().last().unwrap_or_default().to_owned(), start));
    }
    let several = services.len() > 1;
    let mut lines = Vec::new();
    for (number, line, service) in services {
        let made = service.line(several, &mut told);
        lines.push(made.map_err(|unread| fault(number, &line, unread))?);
    }
    if several {
        told.note("each service is a process of its own");
    }
    Ok(Translation { lines, told })
}

fn trimmed(word: &Word) -> Word {
    let start = word.text.len() - word.text.trim_start().len();
    let end = word.text.trim_end().len().max(start);
    word.part(start, end)
}
