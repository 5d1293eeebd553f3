//! Every script of netkit-script(5) and of `examples/` is played, as a reader would; and those that are tests of ours.
//! Absent: what scripts tell when they fail.

use std::env;
use std::fs;
use std::path::Path;

use netkit::script::MANUAL;
use snapbox::{assert_data_eq, str};
use tempfile::TempDir;

use crate::harness::installed::{given, is_there};
use crate::harness::netkit;

/// The files that the manual shows: behind a line that is a name and a colon, what is further in.
fn files() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in MANUAL.lines() {
        let name = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':'));
        let name = name.filter(|name| name.ends_with(".netkit") || name.ends_with(".part"));
        match (name, line.strip_prefix("    ")) {
            (Some(name), _) if !name.starts_with(' ') => {
                files.push((name.to_owned(), String::new()));
                open = true;
            }
            (_, Some(text)) if open => {
                let (_, all) = files.last_mut().unwrap();
                all.push_str(text);
                all.push('\n');
            }
            _ if line.is_empty() && open => files.last_mut().unwrap().1.push('\n'),
            _ => open = false,
        }
    }
    files
}

/// Plays what is there, with our own program among those that are found.
fn play(scripts: &Path) -> String {
    let ours = Path::new(env!("CARGO_BIN_EXE_netkit")).parent().unwrap();
    let others = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([ours.to_owned()].into_iter().chain(env::split_paths(&others))).unwrap();
    let data = TempDir::new().unwrap();
    let outcome = netkit(["run", "--jobs", "2"])
        .arg(scripts)
        .env("PATH", path)
        .env("XDG_DATA_HOME", data.path())
        .run();
    assert_eq!(outcome.stderr, "", "{}", outcome.text());
    outcome.status(0).text()
}

#[test]
fn the_manual_s_scripts_pass() {
    let files = files();
    let scripts = files.iter().filter(|(name, _)| name.ends_with(".netkit")).count();
    assert!(scripts >= 8, "{files:?}");
    // What is not indented as a file would not be played.
    assert_eq!(MANUAL.matches(".netkit:\n").count(), scripts);
    let folder = TempDir::new().unwrap();
    for (name, text) in &files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let told = play(folder.path());
    assert!(told.contains(&format!("{scripts} passed")), "{told}");
}

#[test]
fn the_first_screen_holds_a_whole_script() {
    // A terminal has 24 lines; the page has five above.
    let (first, _) = MANUAL.split_once("\n  netkit run ").unwrap();
    assert!(first.lines().count() <= 19, "{first}");
    assert!(
        MANUAL.lines().all(|line| line.chars().count() <= 80),
        "a line of the manual is too long"
    );
}

#[test]
fn the_examples_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut played = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "netkit") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // The programs that it runs, which need not be there.
        let mut programs = text
            .lines()
            .filter_map(|line| {
                line.trim()
                    .strip_prefix("launch ")?
                    .split(": ")
                    .nth(1)?
                    .split(' ')
                    .next()
            })
            .filter(|program| *program != "netkit");
        let there = programs.all(|program| given(program, is_there(program).then_some(())).is_some());
        if there {
            play(&path);
            played += 1;
        }
    }
    assert!(played >= 3, "{played} examples were played");
}

#[test]
fn our_own_scripts_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let told = play(&folder);
    let scripts = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "netkit"));
    let wanted = format!(": {} passed", scripts.count());
    assert!(told.contains(&wanted), "{told}");
}

#[test]
fn a_script_that_makes_no_sense_starts_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("bad.netkit");
    let text = "launch mark: touch $DIR/mark\nstart lines: serve lines tcp:0\nconect alice to $lines\n\
                parallel\n    alice expects /(/\n";
    fs::write(&path, text).unwrap();
    let outcome = netkit(["run"]).arg(&path).run().status(2).wrote("");
    let told = outcome
        .stderr
        .replace(&format!("{}/", folder.path().display()), "");
    assert_data_eq!(
        told,
        str![[r#"
error: bad.netkit:3: unknown step `conect`
  conect alice to $lines
  ^^^^^^
help: did you mean `connect`?
error: bad.netkit:4: this `parallel` has no `end`
  parallel
  ^^^^^^^^
error: bad.netkit:5: unclosed group
  alice expects /(/
                ^^^

"#]]
    );
    assert!(!folder.path().join("mark").exists());
}
