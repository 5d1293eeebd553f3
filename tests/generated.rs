//! `completions/` and `man/`, checked in and equal to what the binary makes. `NETKIT_BLESS=1` rewrites them.
//! Absent: whether they read well.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::netkit;

/// What a shell's script is called where that shell looks for it.
const SHELLS: &[(&str, &str)] = &[
    ("bash", "netkit.bash"),
    ("zsh", "_netkit"),
    ("fish", "netkit.fish"),
    ("elvish", "netkit.elv"),
    ("powershell", "_netkit.ps1"),
];

fn checked_in(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)
}

fn read(directory: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return BTreeMap::new();
    };
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

/// Compares what was made with what is checked in, or checks it in.
fn compare(made: &BTreeMap<String, String>, directory: &str) {
    let path = checked_in(directory);
    if std::env::var_os("NETKIT_BLESS").is_some_and(|value| value == "1") {
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        for (name, text) in made {
            fs::write(path.join(name), text).unwrap();
        }
    }
    let there = read(&path);
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&there),
        names(made),
        "the files of {directory}/; NETKIT_BLESS=1 rewrites them"
    );
    for (name, text) in made {
        assert!(
            there[name] == *text,
            "{directory}/{name} is out of date; NETKIT_BLESS=1 rewrites it"
        );
    }
}

#[test]
fn completions_are_up_to_date() {
    let made = SHELLS.iter().map(|(shell, file)| {
        let script = netkit(["completions", shell]).run().status(0).said("").text();
        assert!(
            script.contains("netkit") && script.contains("max-connections"),
            "{shell}: {script}"
        );
        ((*file).to_owned(), script)
    });
    compare(&made.collect(), "completions");
}

#[test]
fn manual_pages_are_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    netkit(["manual"])
        .arg(directory.path())
        .run()
        .status(0)
        .said("")
        .wrote("");
    let made = read(directory.path());
    assert!(
        made.contains_key("netkit.1") && made.contains_key("netkit-serve.1"),
        "{:?}",
        made.keys()
    );
    assert_eq!(
        made.keys().cloned().collect::<Vec<_>>(),
        pages(),
        "a verb without a page, or the other way round"
    );
    compare(&made, "man");
}

/// The pages that there should be, by what `--help` lists.
fn pages() -> Vec<String> {
    let below = |above: &[&str]| -> Vec<String> {
        let help = netkit([above, &["--help"]].concat()).run().text();
        let Some((_, commands)) = help.split_once("Commands:\n") else {
            return Vec::new();
        };
        let lines = commands.lines().take_while(|line| !line.is_empty());
        // What goes on from the line above stands further in.
        lines
            .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|verb| *verb != "help")
            .map(str::to_owned)
            .collect()
    };
    let mut pages: Vec<String> = [
        "netkit-endpoints.7",
        "netkit-finger.5",
        "netkit-lines.5",
        "netkit-script.5",
        "netkit.1",
    ]
    .map(str::to_owned)
    .into();
    for verb in below(&[]) {
        let inner = below(&[&verb]);
        pages.extend(inner.iter().map(|inner| format!("netkit-{verb}-{inner}.1")));
        pages.push(format!("netkit-{verb}.1"));
    }
    pages.sort();
    pages
}
