//! `run`: what a failing script tells, that scripts have nothing in common, and that nothing stays behind, whatever ends one;
//! and servers beside a command. Absent: how scripts are written, and what is wrong with one.

use std::fs;
use std::path::{Path, PathBuf};

use regex::bytes::{Regex, RegexBuilder};
use rustix::process::Signal;
use snapbox::{IntoData as _, assert_data_eq, str};
use tempfile::TempDir;

use crate::harness::{Netkit, Outcome, PATIENCE, eventually, netkit, netkit_after};

/// A directory with scripts in it, and one for what they leave.
struct Scripts {
    place: TempDir,
}

impl Scripts {
    fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("tmp")).unwrap();
        for (name, text) in files {
            fs::write(place.path().join(name), text).unwrap();
        }
        Scripts { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// `run ARGS...` where the scripts are.
    fn run(&self, args: &[&str]) -> Netkit {
        let before = format!("cd '{}'", self.place.path().display());
        netkit_after(&before, "", ["run"])
            .args(args)
            .env("TMPDIR", self.path("tmp"))
    }

    /// What the scripts have left where temporary files go.
    fn left(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path("tmp"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }
}

/// One script that is to end with this status: all that is told of it, without times and ports.
fn told(status: i32, script: &str) -> String {
    let scripts = Scripts::of([("a.netkit", script)]);
    let outcome = scripts.run(&["a.netkit"]).run().status(status);
    assert_eq!(outcome.stderr, "", "{}", outcome.text());
    assert!(scripts.left().is_empty(), "{:?}", scripts.left());
    steady(&outcome.text())
}

/// A report in which everything that differs from run to run is replaced.
fn steady(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, with) in [
        // It may not have been read yet.
        (r"    [a-z]+ said:\n      listening on [^\n]*\n", ""),
        (r"/[^ \n]*/tmp/netkit-run-[0-9a-f-]+", "TMP"),
        (r"(?:127\.0\.0\.1|localhost):[0-9]+", "HOST:PORT"),
        (r" *\b[0-9]+(?:\.[0-9])?m?s(  <- here)?\n", " TIME$1\n"),
        (r" +[0-9]+(?:\.[0-9])?m?s  ", " TIME  "),
        (r"\([0-9.]+m?s\)", "(TIME)"),
    ] {
        text = replaced(&text, pattern, with);
    }
    text
}

fn replaced(text: &str, pattern: &str, with: &str) -> String {
    let pattern: Regex = RegexBuilder::new(pattern).unicode(false).build().unwrap();
    String::from_utf8(pattern.replace_all(text.as_bytes(), with.as_bytes()).into_owned()).unwrap()
}

#[test]
fn a_script_that_passes_tells_its_steps() {
    let script = "# Comment.\nstart lines: serve lines tcp:0\n\nconnect alice to $lines\n\
                  alice expects \"established!\\r\\n\"\nrepeat 2 times\n  alice sends line \"hello\"\n  \
                  alice expects line \"Hello! How are you?\"\nend\n";
    assert_data_eq!(
        told(0, script),
        str![[r#"
passed a.netkit (TIME)
  2  start lines: serve lines tcp:0 TIME
  4  connect alice to $lines TIME
  5  alice expects "established!\r\n" TIME
  7  alice sends line "hello" TIME  in 2 rounds
  8  alice expects line "Hello! How are you?" TIME  in 2 rounds
1 script: 1 passed, in TIME

"#]]
        .raw()
    );
}

#[test]
fn what_comes_instead_is_shown_beside_what_was_expected() {
    let script = "start lines: serve lines tcp:0\nconnect alice to $lines\nalice expects exactly \"Connection with a\"\n";
    assert_data_eq!(
        told(6, script),
        str![[r#"
failed a.netkit (TIME)
  1  start lines: serve lines tcp:0 TIME
  2  connect alice to $lines TIME
  3  alice expects exactly "Connection with a" TIME  <- here
  a.netkit:3: alice: something else came
    alice expects exactly "Connection with a"
                          ^^^^^^^^^^^^^^^^^^^
    expected  b"Connection with a"
    arrived   b"Connection with the server established!\r\n"
                                ^
    alice so far, with HOST:PORT:
 TIME  received  b"Connection with the server established!\r\n"
1 script: 1 failed, in TIME

"#]]
        .raw()
    );
}

#[test]
fn what_does_not_come_in_time_is_late() {
    let script = "limit 200ms each\nstart echo: serve echo tcp:0\nconnect bob to $echo\nbob sends \"250 Go\\r\\n\"\n\
                  bob expects \"250 OK\\r\\n\"\n";
    assert_data_eq!(
        told(4, script),
        str![[r#"
late a.netkit (TIME)
  2  start echo: serve echo tcp:0 TIME
  3  connect bob to $echo TIME
  4  bob sends "250 Go\r\n" TIME
  5  bob expects "250 OK\r\n" TIME  <- here
  a.netkit:5: bob: it did not come within TIME
    bob expects "250 OK\r\n"
                ^^^^^^^^^^^^
    expected  b"250 OK\r\n"
    arrived   b"250 Go\r\n"
                    ^
    bob so far, with HOST:PORT:
 TIME  sent      b"250 Go\r\n"
 TIME  received  b"250 Go\r\n"
1 script: 1 late, in TIME

"#]]
        .raw()
    );
    let script = "start hold: serve hold tcp:0\nconnect bob to $hold\nbob sends \"hello\"\n\
                  bob expects /[0-9]+/ within 100ms\n";
    assert_data_eq!(
        told(4, script),
        str![[r#"
late a.netkit (TIME)
  1  start hold: serve hold tcp:0 TIME
  2  connect bob to $hold TIME
  3  bob sends "hello" TIME
  4  bob expects /[0-9]+/ within 100ms TIME  <- here
  a.netkit:4: bob: nothing came within TIME
    bob expects /[0-9]+/ within TIME
                ^^^^^^^^
    expected  /[0-9]+/
    arrived   nothing
    bob so far, with HOST:PORT:
 TIME  sent      b"hello"
1 script: 1 late, in TIME

"#]]
        .raw()
    );
    let script = "limit 1s each, 200ms in all\nsleep 10s\n";
    assert_data_eq!(
        told(4, script),
        str![[r#"
late a.netkit (TIME)
  2  sleep 10s TIME  <- here
  a.netkit:2: the sleep was not over within the 200ms that the script may take
    sleep TIME
    ^^^^^^^^^
1 script: 1 late, in TIME

"#]]
        .raw()
    );
}

#[test]
fn ends_that_come_or_do_not_are_told() {
    let script = "start drop: serve drop tcp:0\nconnect bob to $drop\nbob expects \"hello\"\n";
    assert_data_eq!(
        told(6, script),
        str![[r#"
failed a.netkit (TIME)
  1  start drop: serve drop tcp:0 TIME
  2  connect bob to $drop TIME
  3  bob expects "hello" TIME  <- here
  a.netkit:3: bob: it did not come before the close
    bob expects "hello"
                ^^^^^^^
    expected  b"hello"
    arrived   b""
                ^
    bob so far, with HOST:PORT:
 TIME  the peer ended its half
1 script: 1 failed, in TIME

"#]]
        .raw()
    );
    let script = "start echo: serve echo tcp:0\nconnect bob to $echo\nbob sends \"x\"\nbob expects close\n";
    assert_data_eq!(
        told(6, script),
        str![[r#"
failed a.netkit (TIME)
  1  start echo: serve echo tcp:0 TIME
  2  connect bob to $echo TIME
  3  bob sends "x" TIME
  4  bob expects close TIME  <- here
  a.netkit:4: bob: bytes came instead
    bob expects close
    ^^^^^^^^^^^^^^^^^
    expected  close
    arrived   b"x"
    bob so far, with HOST:PORT:
 TIME  sent      b"x"
 TIME  received  b"x"
1 script: 1 failed, in TIME

"#]]
        .raw()
    );
    let script = "start echo: serve echo tcp:0\nconnect bob to $echo\nbob expects reset within 100ms\n";
    assert_data_eq!(
        told(4, script),
        str![[r#"
late a.netkit (TIME)
  1  start echo: serve echo tcp:0 TIME
  2  connect bob to $echo TIME
  3  bob expects reset within 100ms TIME  <- here
  a.netkit:3: bob: the connection was still open within TIME
    bob expects reset within TIME
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    expected  reset
    arrived   nothing
    bob so far, with HOST:PORT:
      (nothing)
1 script: 1 late, in TIME

"#]]
        .raw()
    );
    let script =
        "start echo: serve echo tcp:0\nconnect bob to $echo\nbob ends\nbob expects silence for 60s\n";
    assert_data_eq!(
        told(6, script),
        str![[r#"
failed a.netkit (TIME)
  1  start echo: serve echo tcp:0 TIME
  2  connect bob to $echo TIME
  3  bob ends TIME
  4  bob expects silence for 60s TIME  <- here
  a.netkit:4: bob: the close came instead
    bob expects silence for TIME
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    expected  silence
    arrived   the close
    bob so far, with HOST:PORT:
 TIME  we ended our half
 TIME  the peer ended its half
1 script: 1 failed, in TIME

"#]]
        .raw()
    );
}

#[test]
fn checks_programs_and_connections_that_fail_are_told() {
    let script = "set NAME to \"alice\"\ncheck \"hello $NAME\" is \"hello alicia\"\n";
    assert_data_eq!(
        told(6, script),
        str![[r#"
failed a.netkit (TIME)
  1  set NAME to "alice" TIME
  2  check "hello $NAME" is "hello alicia" TIME  <- here
  a.netkit:2: it is something else
    check "hello $NAME" is "hello alicia"
                           ^^^^^^^^^^^^^^
    expected  b"hello alicia"
    found     b"hello alice"
                          ^
1 script: 1 failed, in TIME

"#]]
        .raw()
    );
    let script = "launch sh: sh -c \"echo oh dear >&2; exit 3\"\nsh exits with status 0\n";
    assert_data_eq!(
        told(6, script),
        str![[r#"
failed a.netkit (TIME)
  1  launch sh: sh -c "echo oh dear >&2; exit 3" TIME
  2  sh exits with status 0 TIME  <- here
  a.netkit:2: sh ended otherwise
    sh exits with status 0
    ^^^^^^^^^^^^^^^^^^^^^^
    expected  status 0
    arrived   status 3
    sh said:
      oh dear
1 script: 1 failed, in TIME

"#]]
        .raw()
    );
    let script = "launch sh: sh -c \"echo oh dear >&2; exit 3\"\nsleep 500ms\ncheck \"a\" matches /b/\n";
    assert_data_eq!(
        told(6, script),
        str![[r#"
failed a.netkit (TIME)
  1  launch sh: sh -c "echo oh dear >&2; exit 3" TIME
  2  sleep 500ms TIME
  3  check "a" matches /b/ TIME  <- here
  a.netkit:3: it does not match
    check "a" matches /b/
                      ^^^
    expected  /b/
    found     b"a"
    sh ended with status 3, and said:
      oh dear
1 script: 1 failed, in TIME

"#]]
        .raw()
    );
    let script = "start x: serve echo tcp:0:interface=192.0.2.77\n";
    assert_data_eq!(told(6, script), str![[r#"
failed a.netkit (TIME)
  1  start x: serve echo tcp:0:interface=192.0.2.77 TIME  <- here
  a.netkit:1: could not start x: could not bind tcp:0:interface=192.0.2.77: address not available on this machine
    start x: serve echo tcp:0:interface=192.0.2.77
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    x said:
      error: could not bind tcp:0:interface=192.0.2.77: address not available on this machine
1 script: 1 failed, in TIME

"#]].raw());
    let script = "connect eve to tcp:127.0.0.1:1\n";
    assert_data_eq!(
        told(6, script),
        str![[r#"
failed a.netkit (TIME)
  1  connect eve to tcp:HOST:PORT TIME  <- here
  a.netkit:1: could not connect to tcp:HOST:PORT: connection refused
    connect eve to tcp:HOST:PORT
                   ^^^^^^^^^^^^^^^
1 script: 1 failed, in TIME

"#]]
        .raw()
    );
    let script = "start echo: serve echo tcp:0\nconnect eve to $echo fails with refused\n";
    assert_data_eq!(
        told(6, script),
        str![[r#"
failed a.netkit (TIME)
  1  start echo: serve echo tcp:0 TIME
  2  connect eve to $echo fails with refused TIME  <- here
  a.netkit:2: eve was connected, and was not to be
    connect eve to $echo fails with refused
                   ^^^^^
    expected  refused
    arrived   a connection with HOST:PORT
1 script: 1 failed, in TIME

"#]]
        .raw()
    );
}

#[test]
fn a_server_that_cannot_be_is_refused_before_anything_starts() {
    let scripts = Scripts::of([
        ("a.netkit", "launch t: touch $DIR/started\n"),
        (
            "b.netkit",
            "start x: serve ecko tcp:0\nstart y: relay tcp:0 tcp:prot=1\n",
        ),
        (
            "c.netkit",
            "parallel\n  sleep 1s\nand\n  start x: serve echo tcp:prot=1\nend\n",
        ),
        ("d.netkit", "start x: serve echo tcp:0 --daemonize\n"),
    ]);
    let outcome = scripts.run(&["."]).run().status(2).wrote("");
    assert_data_eq!(
        outcome.stderr,
        str![[r#"
error: ./b.netkit:1: invalid value 'ecko' for '<PROTOCOL>'
  start x: serve ecko tcp:0
  ^^^^^^^^^^^^^^^^^^^^^^^^^
error: ./b.netkit:2: unknown argument `prot` for a tcp client endpoint
  start y: relay tcp:0 tcp:prot=1
  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
error: ./c.netkit:4: unknown argument `prot` for a tcp server endpoint
    start x: serve echo tcp:prot=1
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
error: ./d.netkit:1: a server with --daemonize would stay behind
  start x: serve echo tcp:0 --daemonize
  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

"#]]
        .raw()
    );
    assert!(!scripts.path("started").exists());
}

#[test]
fn both_ends_of_a_wire_are_played() {
    let script = "listen door on tcp:0\nconnect bob to $door\naccept guest on door\n\
        parallel\n  bob sends file \"x.bin\"\nand\n  guest expects file \"x.bin\"\n  guest sends hex 48 65 0a\nend\n\
        bob expects hex 48 65 0a\nbob expects silence for 20ms\nbob ends\nguest expects close\nguest sends \"still\"\n\
        bob expects \"still\"\nguest resets\nbob expects reset\n\
        check $bob.peer.port is $door.port\n\
        connect eve to $door\naccept guest on door\neve closes\nguest expects close\n";
    let scripts = Scripts::of([("a.netkit", script)]);
    fs::write(scripts.path("x.bin"), vec![7; 300_000]).unwrap();
    scripts.run(&["a.netkit"]).run().status(0);
}

#[test]
#[cfg(feature = "tls")]
fn tls_is_played_from_both_ends_and_its_alerts_are_seen() {
    let script = "listen door on tls:0\nconnect bob to $door\naccept guest on door\n\
        check $bob.tls.version is \"TLS 1.3\"\ncheck $bob.peer.names contains \"localhost\"\n\
        bob sends line \"hi\"\nguest expects line \"hi\"\nguest closes\nbob expects close\n\
        connect eve to tls:localhost:$door.port:trustRoots=$DIR/other.pem fails with tls\n\
        accept guest on door fails with /refused/\n";
    let scripts = Scripts::of([("a.netkit", script)]);
    let data = scripts.path("data");
    netkit(["cert", "self-signed", "other.example", "--out"])
        .arg(scripts.path("made"))
        .run()
        .status(0);
    fs::rename(scripts.path("made/cert.pem"), scripts.path("other.pem")).unwrap();
    scripts
        .run(&["a.netkit"])
        .env("XDG_DATA_HOME", data)
        .run()
        .status(0);
}

#[test]
fn scripts_have_nothing_in_common() {
    // Each would see what the other wrote under the same name.
    let script = "start lines: serve lines tcp:0\nconnect a to $lines\na expects \"established!\"\n\
        a sends line \"write: hello\"\na expects \"Message saved!\"\n\
        launch wc: sh -c \"test $$(wc -l < file.txt) = 1 && test $$(pwd) = '$TMP'\"\nwc exits with status 0\n";
    let names = ["a.netkit", "b.netkit", "c.netkit", "d.netkit"];
    let scripts = Scripts::of(names.map(|name| (name, script)));
    let outcome = scripts.run(&["--jobs", "4", "."]).run().status(0);
    let text = outcome.text();
    let order: Vec<usize> = names.iter().map(|name| text.find(name).unwrap()).collect();
    assert!(order.is_sorted(), "{text}");
    assert!(text.contains("4 scripts: 4 passed, in "), "{text}");
    assert!(scripts.left().is_empty());
    assert!(!scripts.path("file.txt").exists());
}

#[test]
fn the_worst_script_gives_the_status() {
    let scripts = Scripts::of([
        ("good.netkit", "sleep 1ms\n"),
        ("late.netkit", "limit 50ms in all\nsleep 10s\n"),
        ("bad.netkit", "check \"a\" is \"b\"\n"),
    ]);
    let status = |args: &[&str], status| scripts.run(args).run().status(status);
    status(&["good.netkit"], 0);
    status(&["good.netkit", "late.netkit"], 4);
    status(&["late.netkit", "bad.netkit", "good.netkit"], 6);
    let outcome = status(&["-q", "."], 6);
    assert!(!outcome.text().contains("good.netkit"), "{}", outcome.text());
    status(&["--filter", "^./g", "."], 0);
    status(&["--filter", "late", "."], 4);
    status(&["--filter", "none", "."], 2).failed_in_one_line();
    status(&["--filter", "(", "."], 2);
    status(&["none.netkit"], 2).failed_in_one_line();
    status(&["tmp"], 2).failed_in_one_line();
}

#[test]
fn tap_is_written_as_the_format_says() {
    let scripts = Scripts::of([
        ("a # b.netkit", "sleep 1ms\n"),
        ("c.netkit", "check \"a\" is \"b\"\n"),
    ]);
    let outcome = scripts.run(&["--tap", "."]).run().status(6);
    let text = replaced(&outcome.text(), "duration_ms: [0-9]+", "duration_ms: N");
    assert_data_eq!(
        text,
        str![[r#"
TAP version 14
1..2
ok 1 - ./a \# b.netkit
  ---
  duration_ms: N
  ...
not ok 2 - ./c.netkit
  ---
  message: "it is something else"
  severity: fail
  duration_ms: N
  at:
    file: "./c.netkit"
    line: 1
  detail: |
    ./c.netkit:1: it is something else
      check "a" is "b"
                   ^^^
      expected  b"b"
      found     b"a"
                  ^
  ...

"#]]
        .raw()
    );
}

#[test]
fn json_and_junit_say_the_same() {
    let scripts = Scripts::of([
        ("good.netkit", "sleep 1ms\n"),
        (
            "bad.netkit",
            "start e: serve echo tcp:0\nconnect a to $e\na sends \"<\\x01>\"\na expects exactly \"<\\x02>\"\n",
        ),
    ]);
    fs::write(scripts.path("report.xml"), "old").unwrap();
    let outcome = scripts
        .run(&["--json", "--junit", "report.xml", "."])
        .run()
        .status(6);
    let json: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!(
        (&json["passed"], &json["failed"], &json["status"]),
        (&1.into(), &1.into(), &6.into())
    );
    let bad = &json["scripts"][0];
    assert_eq!(bad["verdict"], "failed");
    assert_eq!(bad["failure"]["line"], 4);
    assert_eq!(bad["failure"]["conversations"][0]["events"][1]["text"], "<\\x01>");
    let xml = fs::read_to_string(scripts.path("report.xml")).unwrap();
    assert!(
        xml.contains(r#"tests="2""#) && xml.contains(r#"failures="1""#),
        "{xml}"
    );
    assert!(
        xml.contains(r#"name="./good.netkit""#) && xml.contains("&lt;"),
        "{xml}"
    );
    let drafts = fs::read_dir(scripts.place.path()).unwrap();
    assert_eq!(
        drafts
            .filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().contains(".new"))
            .count(),
        0
    );
    scripts
        .run(&["--junit", "none/report.xml", "good.netkit"])
        .run()
        .status(1)
        .failed_in_one_line();
    let told = scripts
        .run(&["--junit", "/dev/stdout", "good.netkit"])
        .run()
        .status(0);
    assert!(told.text().contains("<testsuites "), "{}", told.text());
}

#[test]
fn what_failed_is_kept_if_asked_for() {
    let scripts = Scripts::of([(
        "a.netkit",
        "launch t: touch mine\nt exits with status 0\ncheck \"a\" is \"b\"\n",
    )]);
    let outcome = scripts.run(&["--keep", "a.netkit"]).run().status(6);
    let left = scripts.left();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].join("mine").exists());
    assert!(
        outcome
            .text()
            .contains(&format!("its files are kept in {}", left[0].display())),
        "{}",
        outcome.text()
    );
}

/// A part that starts others, one of them in a session of its own, and heeds no signal.
const STUBBORN: &str = "launch stubborn: sh -c \"trap '' TERM INT; sleep 1000 & setsid sleep 1000 & echo $$$$ $$! > '$DIR/pids.new'; \
    mv '$DIR/pids.new' '$DIR/pids'; wait; wait; sleep 1000\"\n";

/// Waits until they are there.
const STARTED: &str =
    "launch w: sh -c \"until test -e '$DIR/pids'; do sleep 0.01; done\"\nw exits with status 0\n";

fn pids(scripts: &Scripts) -> String {
    eventually("the programs", || fs::read_to_string(scripts.path("pids")).ok())
}

#[track_caller]
fn all_gone(scripts: &Scripts, pids: &str) {
    for pid in pids.split_whitespace() {
        eventually("its end", || is_gone(pid).then_some(()));
    }
    assert!(scripts.left().is_empty(), "{:?}", scripts.left());
}

fn is_gone(pid: &str) -> bool {
    match fs::read_to_string(Path::new("/proc").join(pid).join("stat")) {
        Err(_) => true,
        Ok(stat) => stat
            .rsplit_once(')')
            .unwrap()
            .1
            .trim_start()
            .starts_with(['Z', 'X']),
    }
}

#[test]
fn nothing_stays_behind_after_a_script() {
    let scripts = Scripts::of([(
        "a.netkit",
        &*format!("{STUBBORN}start e: serve echo tcp:0 unix:$TMP/s\n{STARTED}"),
    )]);
    scripts.run(&["a.netkit"]).run().status(0);
    all_gone(&scripts, &pids(&scripts));
}

#[test]
fn nothing_stays_behind_after_a_signal() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let scripts = Scripts::of([
            (
                "a.netkit",
                &*format!("{STUBBORN}start e: serve echo tcp:0 unix:$TMP/s\nsleep 60s\n"),
            ),
            ("b.netkit", "sleep 1ms\n"),
        ]);
        let run = scripts.run(&["."]).start();
        let pids = pids(&scripts);
        run.signal(signal);
        let outcome = run.wait().status(status);
        assert!(
            outcome.text().contains("1 script: 1 interrupted"),
            "{}",
            outcome.text()
        );
        all_gone(&scripts, &pids);
    }
}

#[test]
fn who_was_there_before_is_spared() {
    let scripts = Scripts::of([("a.netkit", "launch s: sh -c \"setsid sleep 1000 &\"\ns exits\n")]);
    let before = format!(
        "cd '{}'; sleep 1000 > sleep.log 2>&1 & echo $! > pids",
        scripts.place.path().display()
    );
    let run = netkit_after(&before, "", ["run", "a.netkit"]).env("TMPDIR", scripts.path("tmp"));
    run.run().status(0);
    let pid = pids(&scripts);
    let is_there = !is_gone(pid.trim());
    let raw = pid
        .trim()
        .parse()
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .unwrap();
    rustix::process::kill_process(raw, Signal::KILL).unwrap();
    assert!(is_there);
}

#[test]
fn what_a_script_puts_in_the_background_ends_with_it() {
    let daemon = "launch s: sh -c \"setsid sh -c 'while mkdir -p $TMP/a || :; do :; done' & echo $$! > '$DIR/pids'\"\n\
        s exits with status 0\nsleep 50ms\n";
    let after = "launch t: sh -c \"! kill -0 $$(cat '$DIR/pids')\"\nt exits with status 0\n\
        launch u: sh -c \"ls -d '$DIR'/tmp/*; test $$(ls -d '$DIR'/tmp/* | wc -l) = 1\"\nu exits with status 0\n";
    let scripts = Scripts::of([("a.netkit", daemon), ("b.netkit", after)]);
    let outcome = scripts.run(&["a.netkit", "b.netkit"]).run().status(0);
    assert_eq!(outcome.stderr, "", "{}", outcome.text());
    assert!(scripts.left().is_empty(), "{:?}", scripts.left());
}

#[test]
fn who_has_ended_in_the_background_is_no_zombie() {
    let script = "launch s: sh -c \"for i in 1 2 3; do setsid true & done\"\ns exits with status 0\nsleep 200ms\n\
        launch t: sh -c \"ps -o stat= --ppid $$PPID; test $$(ps -o stat= --ppid $$PPID | grep -c Z) = 0\"\n\
        t exits with status 0\n";
    let scripts = Scripts::of([("a.netkit", script)]);
    scripts.run(&["a.netkit"]).run().status(0);
}

#[test]
fn datagrams_stay_apart() {
    let before = "listen door on udp:0\nconnect a to $door\na sends \"one\"\na sends \"two\"\na sends \"\"\n\
        a sends \"three four\"\naccept b on door\n";
    for (status, steps) in [
        (
            0,
            "b expects exactly \"one\"\nb expects exactly \"two\"\nb expects line \"\"\nb expects \"three\"\n\
            b expects exactly \" four\"\nb expects silence for 20ms\n",
        ),
        (
            0,
            "b expects /t(?<rest>.+)/\ncheck $rest is \"wo\"\nb expects \"four\"\n",
        ),
        (0, "b expects line \"one\"\nb expects \"two\"\n"),
        (6, "b expects exactly \"onetwo\"\n"),
        (6, "b expects exactly \"on\"\n"),
        (
            6,
            "b expects exactly \"one\"\nb expects \"two\"\nb expects silence for 20ms\n",
        ),
        (4, "b expects \"onetwo\" within 100ms\n"),
        (4, "b expects /e.*t/ within 100ms\n"),
    ] {
        let scripts = Scripts::of([("a.netkit", &*format!("{before}{steps}"))]);
        let outcome = scripts.run(&["a.netkit"]).run().status(status);
        if steps.contains("onetwo") {
            let text = outcome.text();
            let said = text.lines().filter(|line| line.contains("b\"one\"")).count();
            assert!(said > 0, "{text}");
        }
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let scripts = Scripts::of([("a.netkit", &*format!("{STUBBORN}sleep 60s\n"))]);
    let run = scripts.run(&["a.netkit"]).start();
    let pids = pids(&scripts);
    let start = std::time::Instant::now();
    run.signal(Signal::INT);
    run.signal(Signal::TERM);
    run.wait();
    assert!(start.elapsed() < PATIENCE);
    all_gone(&scripts, &pids);
}

#[test]
fn parts_end_with_a_run_that_is_killed() {
    let scripts = Scripts::of([(
        "a.netkit",
        "launch s: sh -c \"echo $$$$ > '$DIR/pids.new'; mv '$DIR/pids.new' '$DIR/pids'; exec sleep 1000\"\nsleep 60s\n",
    )]);
    let run = scripts.run(&["a.netkit"]).start();
    let pids = pids(&scripts);
    run.signal(Signal::KILL);
    run.wait().status(137);
    eventually("its end", || is_gone(pids.trim()).then_some(()));
}

#[test]
fn a_peer_that_floods_is_held_back() {
    let script = "start c: serve chargen tcp:0\nconnect a to $c\na expects \"never said\"\n";
    let scripts = Scripts::of([("a.netkit", script)]);
    let outcome = scripts.run(&["a.netkit"]).run().status(6);
    assert!(
        outcome.text().contains("1MiB came without it"),
        "{}",
        outcome.text()
    );
    // A regex is tried on all of it, and in time.
    let script = "start c: serve chargen tcp:0\nconnect a to $c\na expects /never (said)+$/ within 20s\n";
    let scripts = Scripts::of([("a.netkit", script)]);
    scripts.run(&["a.netkit"]).run().status(6);
    let script = "start c: serve chargen tcp:0\nconnect a to $c\nsleep 200ms\na expects reset within 100ms\n";
    let scripts = Scripts::of([("a.netkit", script)]);
    scripts.run(&["a.netkit"]).run().status(4);
}

#[test]
fn a_peer_that_takes_nothing_fails_the_step() {
    let script = "listen door on tcp:0\nconnect a to $door\naccept b on door\n\
        repeat 20 times\n  a sends file \"x.bin\" within 300ms\nend\n";
    let scripts = Scripts::of([("a.netkit", script)]);
    fs::write(scripts.path("x.bin"), vec![0; 4 * 1024 * 1024]).unwrap();
    let outcome = scripts.run(&["a.netkit"]).run().status(4);
    assert!(
        outcome.text().contains("the peer does not read what is sent"),
        "{}",
        outcome.text()
    );
}

#[test]
fn a_part_that_dies_is_told_of() {
    let script = "set P to a free port\nlaunch d: sh -c \"echo no config >&2; exit 9\"\nwait for tcp:127.0.0.1:$P within 50s\n";
    let scripts = Scripts::of([("a.netkit", script)]);
    let outcome = scripts.run(&["a.netkit"]).run().status(6);
    let text = outcome.text();
    let why = "nobody is there, and d, the last that was launched, has failed";
    assert!(text.contains(why), "{text}");
    assert!(
        text.contains("d ended with status 9, and said:\n      no config\n"),
        "{text}"
    );
}

fn with(args: &[&str]) -> Netkit {
    netkit(["run"]).args(args)
}

const CONNECT: &str = concat!(
    "echo hello | ",
    env!("CARGO_BIN_EXE_netkit"),
    " connect \"$NETKIT_ECHO\""
);

#[test]
fn a_command_is_not_told_what_is_ours_alone() {
    let shown = "echo \"$LISTEN_FDS$LISTEN_PID$LISTEN_FDNAMES$NOTIFY_SOCKET\" and \"$OTHER\"";
    let mut run = with(&["--with", "echo=serve echo tcp:0", "--", "sh", "-c", shown]).env("OTHER", "others");
    for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"] {
        run = run.env(name, "1");
    }
    run.run().status(0).wrote(" and others\n");
}

#[test]
fn a_command_finds_its_servers() {
    let outcome = with(&[
        "--with",
        "echo=serve echo tcp:0",
        "--with",
        "u='serve' echo udp:0",
        "--",
        "sh",
        "-c",
        CONNECT,
    ])
    .run()
    .status(0)
    .wrote("hello\n");
    assert_eq!(outcome.stderr, "");
    let shown = "echo $NETKIT_ECHO $NETKIT_ECHO_HOST:$NETKIT_ECHO_PORT";
    let outcome = with(&["--with", "Echo=serve echo tcp:0", "--", "sh", "-c", shown])
        .run()
        .status(0);
    let text = outcome.text();
    let (endpoint, address) = text.trim().split_once(' ').unwrap();
    assert_eq!(endpoint, format!("tcp:{address}"));
}

#[test]
fn the_status_is_that_of_the_command_and_logs_are_shown_if_it_fails() {
    let run = |command: &[&str]| -> Outcome {
        let all = ["--with", "echo=serve echo tcp:0 -v", "--"];
        with(&[&all, command].concat()).run()
    };
    run(&["true"]).status(0).said("");
    let failed = run(&["sh", "-c", &format!("{CONNECT}; exit 7")]).status(7);
    assert!(
        failed.stderr.contains("`echo` said:\n  listening on tcp:"),
        "{}",
        failed.stderr
    );
    assert!(failed.stderr.contains("accepted on"), "{}", failed.stderr);
    run(&["sh", "-c", "kill -9 $$"]).status(137);
    run(&["/nonexistent"]).status(127).failed_in_one_line();
    run(&["/etc/passwd"]).status(126).failed_in_one_line();
}

#[test]
fn signals_are_passed_on_to_the_command() {
    let command = "trap 'echo heard; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let run = with(&["--with", "echo=serve echo tcp:0", "--", "sh", "-c", command]).start();
    run.await_stdout("ready\n");
    run.signal(Signal::TERM);
    run.wait().status(5).wrote("ready\nheard\n");
}

#[test]
fn names_and_servers_are_checked_before_anything_starts() {
    for args in [
        &["--with", "1=serve echo tcp:0"][..],
        &["--with", "=serve echo tcp:0"],
        &["--with", "serve echo tcp:0"],
        &["--with", "a="],
        &["--with", "a=connect tcp:h:1"],
        &["--with", "a=serve echo 'tcp:0"],
        &["--with", "a=serve echo tcp:prot=1"],
        &["--with", "a=serve echo tcp:0 --ready-fd 1"],
        &["--with", "a=serve echo tcp:0", "--with", "A=serve echo tcp:0"],
        &[
            "--with",
            "a=serve echo tcp:0",
            "--with",
            "a_port=serve echo tcp:0",
        ],
    ] {
        let scripts = Scripts::of([]);
        let started = scripts.path("started");
        let command = ["--", "touch", started.to_str().unwrap()];
        let outcome = with(&[args, &command].concat()).run().status(2);
        assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
        assert!(!started.exists());
    }
    let bound = ["--with", "a=serve echo tcp:0:interface=192.0.2.77", "--", "true"];
    with(&bound).run().status(7).failed_in_one_line();
}
