//! Scripts of several files.
//! Absent: what stands in them.

use std::fs;
use std::path::Path;

use super::{Script, shown};
use crate::script::step::Action;
use crate::script::{DEPTH_MAX, Kind, SOURCES_MAX};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn read(folder: &Path) -> Result<Script, String> {
    let read = Script::read(&folder.join("main.netkit"));
    // Only the names of the files, not where they happen to be.
    read.map_err(|refusals| shown(refusals).replace(&format!("{}/", folder.display()), ""))
}

#[test]
fn an_include_stands_for_its_steps() {
    let folder = folder(&[
        (
            "main.netkit",
            "set a to \"1\"\nrepeat 2 times\ninclude \"sub/one.netkit\"\nend\ncheck $b is $a",
        ),
        ("sub/one.netkit", "include \"two.netkit\""),
        ("sub/two.netkit", "\nset b to $a\nset c to file_\n"),
    ]);
    let why = read(folder.path()).unwrap_err();
    assert!(why.starts_with("3: `file_` is not a text\n"), "{why}");
    fs::write(folder.path().join("sub/two.netkit"), "\nset b to \"$a$DIR\"\n").unwrap();
    let script = read(folder.path()).unwrap();
    assert_eq!(script.sources.len(), 3);
    let Action::Repeat { steps, .. } = &script.steps[1].action else {
        panic!()
    };
    let Action::Include { steps, .. } = &steps[0].action else {
        panic!()
    };
    let Action::Include { steps, .. } = &steps[0].action else {
        panic!()
    };
    let place = steps[0].place;
    assert_eq!((place.source, place.line), (2, 2));
    assert_eq!(script.line(place), "set b to \"$a$DIR\"");
    assert_eq!(script.folder(place), folder.path().join("sub"));
}

#[test]
fn an_endless_include_is_refused() {
    let folder = folder(&[
        ("main.netkit", "include \"sub/../one.netkit\""),
        ("one.netkit", "include \"two.netkit\""),
        ("two.netkit", "sleep 1s\ninclude \"./main.netkit\""),
        ("sub/x", ""),
    ]);
    assert_eq!(
        read(folder.path()).unwrap_err(),
        "2: this include has no end\n  include \"./main.netkit\"\n          ^^^^^^^^^^^^^^^\n\
         help: it includes itself by way of one.netkit, two.netkit\n"
    );
    fs::write(folder.path().join("main.netkit"), "include \"main.netkit\"").unwrap();
    assert!(
        read(folder.path())
            .unwrap_err()
            .ends_with("\nhelp: the file includes itself\n")
    );
}

#[test]
fn includes_are_bounded() {
    let long: Vec<(String, String)> = (0..20)
        .map(|at| (format!("{at}.netkit"), format!("include \"{}.netkit\"", at + 1)))
        .collect();
    let mut files: Vec<(&str, &str)> = long
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    files.push(("main.netkit", "include \"0.netkit\""));
    let chain = folder(&files);
    let why = read(chain.path()).unwrap_err();
    assert!(why.contains(&format!("more than {DEPTH_MAX} deep")), "{why}");

    // Each file is small, and there are not many; it is the number of ways that grows.
    let double = "include \"NEXT.netkit\"\n".repeat(8);
    let wide: Vec<(String, String)> = (0..5)
        .map(|at| {
            (
                format!("{at}.netkit"),
                double.replace("NEXT", &(at + 1).to_string()),
            )
        })
        .collect();
    let mut files: Vec<(&str, &str)> = wide
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    files.extend([("main.netkit", "include \"0.netkit\""), ("5.netkit", "sleep 1s")]);
    let tree = folder(&files);
    let why = read(tree.path()).unwrap_err();
    assert!(why.contains(&format!("at most {SOURCES_MAX} files")), "{why}");
}

#[test]
fn what_cannot_be_read_is_told_where_it_is_included() {
    let folder = folder(&[
        (
            "main.netkit",
            "include \"gone.netkit\"\ninclude \"sub\"\ninclude \"$TMP/x\"\ninclude \"bad\"\ninclude \"limits\"",
        ),
        ("sub/x", ""),
        ("limits", "limit 1s each"),
    ]);
    fs::write(folder.path().join("bad"), b"sleep 1s\n\xff").unwrap();
    assert_eq!(
        read(folder.path()).unwrap_err(),
        r#"1: could not read gone.netkit: no such file or directory
  include "gone.netkit"
          ^^^^^^^^^^^^^
2: could not read sub: it is a directory, not a file
  include "sub"
          ^^^^^
3: what is included is known before anything starts, so it holds no variables
  include "$TMP/x"
          ^^^^^^^^
4: could not read bad: line 2 is not UTF-8 text
  include "bad"
          ^^^^^
1: limits stand in the script itself, not in what it includes
  limit 1s each
  ^^^^^^^^^^^^^
"#
    );
}

#[test]
fn a_script_that_is_no_file_is_an_error_of_its_own() {
    let refusals = Script::read(Path::new("/nowhere/main.netkit")).unwrap_err();
    assert_eq!(refusals[0].kind, Kind::BadFile);
    let error = crate::error::Error::from(refusals.into_iter().next().unwrap());
    assert_eq!(
        format!("{error:#}"),
        "could not read /nowhere/main.netkit: no such file or directory"
    );
    let refusals = Script::parse(Path::new("x"), &"#".repeat(2 << 20)).unwrap_err();
    let error = crate::error::Error::from(refusals.into_iter().next().unwrap());
    assert_eq!(format!("{error:#}"), "could not read x: it is longer than 1MiB");
}
