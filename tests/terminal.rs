//! `connect` at a terminal: the real binary on a pseudo-terminal of its own, keys in, what a user sees out.
//! Absent: the screen itself; what is written to it is read as text.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tempfile::TempDir;

use crate::harness::capture::Capture;
use crate::harness::peer::{accept, listener, read, read_all, refusing, reset};
use crate::harness::{connect, contains, eventually, serve};

const ENTER: &str = "\r";
const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const CTRL_A: &str = "\x01";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_K: &str = "\x0b";

/// A user at a terminal who has started us.
struct User {
    child: Child,
    keyboard: File,
    screen: Capture,
    /// Our side of the terminal, for its modes.
    terminal: Option<OwnedFd>,
    before: Modes,
    /// How much of the screen was looked at.
    looked: usize,
}

/// The modes of a terminal that can be compared.
type Modes = (u32, u32, u32, u32, Vec<u8>);

fn modes(of: &OwnedFd) -> Modes {
    let modes: Termios = tcgetattr(of).unwrap();
    let codes = &modes.special_codes;
    use rustix::termios::SpecialCodeIndex as Code;
    let codes = [Code::VMIN, Code::VTIME, Code::VINTR, Code::VEOF].map(|code| codes[code]);
    (
        modes.input_modes.bits(),
        modes.output_modes.bits(),
        modes.control_modes.bits(),
        modes.local_modes.bits(),
        codes.to_vec(),
    )
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A new terminal: its keyboard and screen in one, and what a program sees of it.
fn pty() -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = open(
        name,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, size).unwrap();
    (master, terminal)
}

/// `netkit connect ARGS...` on a terminal of its own, state kept in `state`.
fn sit_down<S: AsRef<OsStr>>(state: &TempDir, args: impl IntoIterator<Item = S>) -> User {
    let (master, terminal) = pty();
    let before = modes(&terminal);
    let stdio = || Stdio::from(terminal.try_clone().unwrap());
    // Makes the terminal on its standard input that of its session.
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_netkit"), "connect"]);
    command.args(args).env("TERM", "xterm").env_remove("NO_COLOR");
    command.env("XDG_STATE_HOME", state.path());
    command.stdin(stdio()).stdout(stdio()).stderr(stdio());
    let child = command.spawn().unwrap();
    let screen = master.try_clone().unwrap();
    User {
        child,
        keyboard: File::from(master),
        screen: Capture::of(File::from(screen)),
        terminal: Some(terminal),
        before,
        looked: 0,
    }
}

/// What is on the screen, without what moves the cursor. A sequence that is not whole yet is left for later.
fn plain(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let mut text = String::new();
    let mut rest = &*said;
    while let Some(c) = rest.chars().next() {
        if let Some(sequence) = rest.strip_prefix("\x1b[") {
            match sequence.find(|c: char| c.is_ascii_alphabetic()) {
                Some(end) => rest = &sequence[end + 1..],
                None => break,
            }
            continue;
        }
        if c == '\x1b' && rest.len() == 1 {
            break;
        }
        if c != '\r' {
            text.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    text
}

impl User {
    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a text on the screen, after the one that was waited for last.
    #[track_caller]
    fn sees(&mut self, text: &str) {
        let looked = self.looked;
        let found = |said: &[u8]| {
            let shown = plain(said);
            let at = shown.get(looked..)?.find(text)?;
            Some(looked + at + text.len())
        };
        let said = self.screen.until(
            |said| found(said).is_some(),
            || {
                format!(
                    "waited in vain for {text:?} after {:?}",
                    &plain(&self.screen.so_far())[looked..]
                )
            },
        );
        self.looked = found(&said).unwrap();
    }

    fn modes(&self) -> Modes {
        modes(self.terminal.as_ref().unwrap())
    }

    /// Waits until lines can be typed.
    #[track_caller]
    fn is_asked(&mut self) {
        self.sees("> ");
    }

    fn signal(&self, signal: Signal) {
        // `setsid` became the program, as it leads no group of processes.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end. The terminal has to be as it was.
    #[track_caller]
    fn leaves(&mut self, status: i32) -> String {
        let ended = eventually("the end", || self.child.try_wait().unwrap());
        let code = ended.code().unwrap_or_else(|| 128 + ended.signal().unwrap());
        assert_eq!(code, status, "{}", plain(&self.screen.so_far()));
        assert_eq!(self.modes(), self.before);
        // The last who holds it: what was written can be read to its end.
        self.terminal = None;
        plain(&self.screen.until_end(|| "somebody holds the terminal".into()))
    }
}

#[test]
fn keys_edit_the_line_before_it_is_sent() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint]);
    let mut peer = accept(&listener);
    user.is_asked();
    user.types("wrold");
    user.types(LEFT);
    user.types(LEFT);
    user.types(LEFT);
    user.types("\x7f");
    user.types(CTRL_A);
    user.types("hello ");
    user.types(ENTER);
    // Of "wrold", the r was rubbed out.
    assert_eq!(read(&peer, 11), b"hello wold\n");
    user.types("cut here and away");
    user.types(CTRL_A);
    user.types(&"\x1b[C".repeat(8));
    user.types(CTRL_K);
    user.types(ENTER);
    assert_eq!(read(&peer, 9), b"cut here\n");
    peer.write_all(b"bye\n").unwrap();
    drop(peer);
    user.leaves(0);
}

#[test]
fn what_is_pasted_is_sent_line_by_line() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint]);
    let peer = accept(&listener);
    user.is_asked();
    user.types("one\rtwo\nthree\r\x04");
    assert_eq!(read_all(&peer), b"one\ntwo\nthree\n");
    drop(peer);
    user.leaves(0);
}

#[test]
fn a_paste_that_is_answered_all_the_while_does_not_hold_the_keyboard() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint]);
    let peer = accept(&listener);
    std::thread::spawn(move || {
        for line in BufReader::new(&peer).lines().map_while(Result::ok) {
            let _ = (&peer).write_all(format!("got {line}\n").as_bytes());
        }
    });
    user.is_asked();
    let lines: String = (0..200).map(|number| format!("line {number}.\r")).collect();
    user.types(&lines);
    for number in 0..200 {
        user.sees(&format!("got line {number}.\n"));
    }
    user.types(CTRL_C);
    user.leaves(130);
}

#[test]
fn keys_are_heeded_while_a_peer_floods_the_screen() {
    for (keys, status) in [(CTRL_C, 130), ("~.\r", 0)] {
        let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
        let mut user = sit_down(&state, [&endpoint]);
        let peer = accept(&listener);
        let mut flood = peer.try_clone().unwrap();
        std::thread::spawn(move || while flood.write_all(&b"water\n".repeat(1000)).is_ok() {});
        user.sees("water");
        for number in 0..10 {
            user.types(&format!("abc{number}\r"));
            assert_eq!(read(&peer, 5), format!("abc{number}\n").as_bytes());
        }
        user.types(keys);
        user.leaves(status);
    }
}

#[test]
fn a_paste_too_long_for_a_peer_that_takes_nothing_does_not_hold_the_keyboard() {
    let state = TempDir::new().unwrap();
    let socket = state.path().join("socket");
    // Nobody accepts, and the system keeps little for such a socket: most of it stays with us.
    let _listener = UnixListener::bind(&socket).unwrap();
    let mut user = sit_down(&state, [format!("unix:{}", socket.display())]);
    user.is_asked();
    let line = format!("{}\r", "x".repeat(100));
    user.types(&line.repeat(20_000));
    user.sees("the peer takes nothing");
    user.types(CTRL_C);
    user.leaves(130);
}

#[test]
fn lines_are_recalled_in_this_run_and_the_next() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    for run in 0..2 {
        let mut user = sit_down(&state, [&endpoint]);
        let peer = accept(&listener);
        user.is_asked();
        if run == 0 {
            user.types("first");
            user.types(ENTER);
            assert_eq!(read(&peer, 6), b"first\n");
            user.types(" secret");
            user.types(ENTER);
            assert_eq!(read(&peer, 8), b" secret\n");
        }
        user.types(UP);
        user.types(ENTER);
        assert_eq!(read(&peer, 6), b"first\n");
        drop(peer);
        user.leaves(0);
    }
    let directory = state.path().join("netkit/history");
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
    let [Ok(file)] = &files[..] else {
        panic!("{files:?}")
    };
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&file.path())), (0o700, 0o600));
    let remembered = std::fs::read_to_string(file.path()).unwrap();
    assert!(!remembered.contains("secret"), "{remembered}");
}

#[test]
fn nothing_is_remembered_where_that_is_not_wanted() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint, "--no-history"]);
    let peer = accept(&listener);
    user.is_asked();
    user.types("line\r");
    assert_eq!(read(&peer, 5), b"line\n");
    drop(peer);
    user.leaves(0);
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}

#[test]
fn what_comes_does_not_tear_the_line_being_typed() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint]);
    let mut peer = accept(&listener);
    user.is_asked();
    user.types("half a ");
    user.sees("half a ");
    peer.write_all(b"one\ntwo\n").unwrap();
    user.sees("one");
    user.sees("two");
    // It is drawn again below.
    user.sees("> half a ");
    user.types("line\r");
    assert_eq!(read(&peer, 12), b"half a line\n");
    // The beginning of a line, such as a question, is shown without its end.
    peer.write_all(b"name: ").unwrap();
    user.sees("name: ");
    user.sees("> ");
    drop(peer);
    user.leaves(0);
}

#[test]
fn all_that_came_is_on_the_screen_at_the_end() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint]);
    let mut peer = accept(&listener);
    let lines: String = (0..3000).map(|number| format!("line {number}.\n")).collect();
    peer.write_all(lines.as_bytes()).unwrap();
    peer.write_all(b"the end").unwrap();
    drop(peer);
    let screen = user.leaves(0);
    let mut rest = screen.as_str();
    for number in 0..3000 {
        let line = format!("line {number}.");
        let at = rest
            .find(&line)
            .unwrap_or_else(|| panic!("no {line:?}, in order"));
        rest = &rest[at + line.len()..];
    }
    assert!(rest.contains("the end"), "{rest:?}");
}

#[test]
fn a_peer_cannot_drive_the_terminal() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint]);
    let mut peer = accept(&listener);
    user.is_asked();
    peer.write_all(b"\x1b]0;title\x07 \xc2\x9b5n\rover\n").unwrap();
    user.sees("\\x1b]0;title\\x07 \\u{9b}5n\\rover");
    drop(peer);
    user.leaves(0);
    let screen = user.screen.so_far();
    assert!(!contains(&screen, b"\x1b]0;"), "{}", screen.escape_ascii());
}

#[test]
fn facts_and_help_are_a_tilde_away() {
    let (state, server) = (TempDir::new().unwrap(), serve(["echo", "tcp:0:127.0.0.1"]));
    let endpoint = server.endpoint();
    let mut user = sit_down(&state, [&endpoint]);
    user.sees("~? helps");
    user.types("four\r");
    user.sees("> four\n");
    user.sees("four\n");
    user.types("~i\r");
    user.sees(&format!("connected to {endpoint} for "));
    user.sees("peer         127.0.0.1:");
    user.sees("TLS          none");
    user.sees("sent         5 bytes");
    user.sees("received     5 bytes");
    user.types("~?\r");
    user.sees("~.  disconnect");
    // A tilde for the peer, and one that never was for us.
    user.types("~~.\r");
    user.sees("> ~~.\n");
    user.sees("~.\n");
    user.types("~/home\r");
    user.sees("> ~/home\n");
    user.sees("~/home\n");
    user.types("~.\r");
    user.leaves(0);
}

#[cfg(feature = "tls")]
#[test]
fn facts_tell_of_tls_and_the_certificate() {
    let state = TempDir::new().unwrap();
    let data = TempDir::new().unwrap();
    let server = crate::harness::netkit(["serve", "echo", "tls:0:interface=127.0.0.1"])
        .env("XDG_DATA_HOME", data.path())
        .stdin(Stdio::null())
        .start();
    let endpoint = format!("{}:insecure=yes", server.endpoint());
    let mut user = sit_down(&state, [&endpoint]);
    user.sees("~? helps");
    user.types("~i\r");
    user.sees("TLS          TLS 1.3");
    user.sees("cipher       TLS");
    user.sees("names      localhost, 127.0.0.1");
    user.sees("pin        sha256/");
    user.types("~.\r");
    user.leaves(0);
}

#[test]
fn a_tilde_reconnects_and_unsent_input_is_not_lost() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint, "--send", "hi "]);
    let first = accept(&listener);
    user.is_asked();
    assert_eq!(read(&first, 3), b"hi ");
    user.types("~r\r");
    assert_eq!(read_all(&first), b"");
    let second = accept(&listener);
    assert_eq!(read(&second, 3), b"hi ");
    user.types("there\r");
    assert_eq!(read(&second, 6), b"there\n");
    drop(second);
    user.leaves(0);
}

/// A peer behind a socket for which the system keeps little, and a user who has typed more than that and left.
fn leaving_in_a_hurry(state: &TempDir) -> (User, UnixListener, String) {
    let socket = state.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut user = sit_down(state, [format!("unix:{}", socket.display())]);
    user.is_asked();
    let lines = format!("{}\r", "x".repeat(99)).repeat(4000);
    user.types(&lines);
    user.types("~.\r");
    user.sees("> ~.\n");
    (user, listener, lines.replace('\r', "\n"))
}

#[test]
fn what_was_typed_before_leaving_is_sent() {
    let state = TempDir::new().unwrap();
    let (mut user, listener, lines) = leaving_in_a_hurry(&state);
    let (peer, _) = listener.accept().unwrap();
    assert!(read_all(&peer) == lines.as_bytes());
    // And it is not waited for a peer that has it all.
    user.leaves(0);
    assert!(!plain(&user.screen.so_far()).contains("warning"));
}

#[test]
fn what_could_not_be_sent_before_leaving_is_told() {
    let state = TempDir::new().unwrap();
    let (mut user, listener, lines) = leaving_in_a_hurry(&state);
    user.sees("warning: ");
    let screen = user.leaves(0);
    let (_, said) = screen.split_once("warning: ").unwrap();
    let unsent: usize = said.split(' ').next().unwrap().parse().unwrap();
    let (peer, _) = listener.accept().unwrap();
    assert_eq!(read_all(&peer).len() + unsent, lines.len(), "{said}");
}

#[cfg(feature = "tls")]
#[test]
fn a_connection_is_left_in_good_order() {
    for (input, keys) in [(&[][..], "last words\r~.\r"), (&["--no-stdin"], "")] {
        let (state, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let server = crate::harness::netkit(["listen", "tls:0:interface=127.0.0.1"])
            .args(input)
            .env("XDG_DATA_HOME", data.path())
            .start();
        let endpoint = format!("{}:insecure=yes", server.endpoint());
        let mut user = sit_down(&state, [&endpoint]);
        user.sees("~? helps");
        user.types(keys);
        // The server would tell of a TLS connection that was cut off.
        let heard = server.wait().status(0);
        assert_eq!(heard.text(), if keys.is_empty() { "" } else { "last words\n" });
        user.leaves(0);
    }
}

#[test]
fn a_kept_connection_comes_back_and_the_typed_line_stays() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let backoff = ["--reconnect", "--backoff", "initial=10ms,jitter=0"];
    let mut user = sit_down(&state, [&[endpoint.as_str()][..], &backoff].concat());
    let first = accept(&listener);
    // Before that a reset would be one more failure to connect.
    user.sees("~? helps");
    user.is_asked();
    user.types("half a ");
    user.sees("half a ");
    reset(first);
    let second = accept(&listener);
    user.sees("warning:");
    user.sees("nothing was sent on it");
    user.sees("> half a ");
    user.types("line\r");
    assert_eq!(read(&second, 12), b"half a line\n");
    user.types("~.\r");
    user.leaves(0);
}

#[test]
fn ctrl_d_ends_our_half_and_what_comes_is_shown() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint]);
    let mut peer = accept(&listener);
    user.is_asked();
    user.types("question\r");
    user.types(CTRL_D);
    assert_eq!(read_all(&peer), b"question\n");
    peer.write_all(b"the answer\n").unwrap();
    user.sees("the answer");
    user.types("more\r");
    user.sees("nothing more can be sent");
    peer.shutdown(Shutdown::Write).unwrap();
    user.leaves(0);
}

#[test]
fn ctrl_c_ends_the_run() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint]);
    let _peer = accept(&listener);
    user.is_asked();
    user.types("half");
    user.types(CTRL_C);
    user.leaves(130);
}

#[test]
fn a_reset_is_told_as_ever() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint]);
    let peer = accept(&listener);
    // Before, it would be a connection that could not be made.
    user.sees("~? helps");
    reset(peer);
    user.sees("error:");
    user.sees("connection reset by the peer");
    user.leaves(8);
}

#[test]
fn a_connection_that_cannot_be_made_is_told_as_ever() {
    let state = TempDir::new().unwrap();
    let (_port, address) = refusing();
    let mut user = sit_down(&state, [format!("tcp:{address}")]);
    user.sees("connection refused");
    user.leaves(3);
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    for signal in [Signal::TERM, Signal::HUP, Signal::QUIT, Signal::INT] {
        let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
        let mut user = sit_down(&state, [&endpoint]);
        let _peer = accept(&listener);
        user.is_asked();
        assert_ne!(user.modes(), user.before, "nothing would be put back");
        user.signal(signal);
        user.leaves(130);
    }
}

#[test]
fn a_stopped_run_leaves_the_terminal_to_others_and_goes_on() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint]);
    let peer = accept(&listener);
    user.is_asked();
    user.types("half a \x1a");
    let stat = format!("/proc/{}/stat", user.child.id());
    eventually("a stop", || {
        let stat = std::fs::read_to_string(&stat).unwrap();
        stat.contains(") T ").then_some(())
    });
    assert_eq!(user.modes(), user.before);
    // As a shell does.
    rustix::io::write(user.terminal.as_ref().unwrap(), b"$ fg\n").unwrap();
    user.sees("$ fg\n");
    user.signal(Signal::CONT);
    user.sees("> half a ");
    user.types("line\r");
    assert_eq!(read(&peer, 12), b"half a line\n");
    drop(peer);
    user.leaves(0);
}

#[test]
fn limits_on_the_run_hold_and_leave_the_terminal_as_it_was() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint, "--timeout", "500ms"]);
    let _peer = accept(&listener);
    user.sees("the run was to take no longer than 500ms");
    user.leaves(4);
}

#[test]
fn lines_end_as_they_are_wanted() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint, "--crlf"]);
    let peer = accept(&listener);
    user.is_asked();
    user.types("EHLO\tx\r");
    assert_eq!(read(&peer, 8), b"EHLO\tx\r\n");
    drop(peer);
    user.leaves(0);
}

#[test]
fn what_is_logged_does_not_tear_the_line_either() {
    let (state, (listener, endpoint)) = (TempDir::new().unwrap(), listener());
    let mut user = sit_down(&state, [&endpoint, "-vv", "--hexdump"]);
    let mut peer = accept(&listener);
    user.is_asked();
    user.types("half");
    user.sees("half");
    peer.write_all(b"x\n").unwrap();
    user.sees("< 00000000  78 0a");
    user.sees("> half");
    drop(peer);
    user.leaves(0);
}

#[test]
fn with_a_pipe_at_either_end_bytes_are_bytes() {
    let bytes = b"~.\r\n~i\x1b[A\x04\x00\xff\n";
    let server = serve(["echo", "tcp:0:127.0.0.1"]);
    connect([server.endpoint()])
        .input(bytes.to_vec())
        .run()
        .status(0)
        .wrote(bytes)
        .said("");
    // One end is not enough.
    let (mut keyboard, terminal) = pty();
    let before = modes(&terminal);
    let client = connect([server.endpoint()])
        .stdin(Stdio::from(terminal.try_clone().unwrap()))
        .start();
    rustix::io::write(&mut keyboard, b"~?\n").unwrap();
    client.await_stdout("~?\n");
    assert_eq!(modes(&terminal), before);
    client.signal(Signal::INT);
    client.wait().status(130).wrote("~?\n").said("");
}
