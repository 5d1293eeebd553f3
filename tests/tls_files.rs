//! Keys, certificates and passphrases as files: what may be one, who may read it, and what a pipe does instead.
//! Absent: TLS itself.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use netkit::cert::issue::{Leaf, Validity, self_signed};
use netkit::cert::{Name, files};
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::harness::capture::Capture;
use crate::harness::{Netkit, Run, contains, netkit, program};

/// A directory with `key.pem` and `cert.pem` of this machine, `secret.pem` with the same key under the passphrase in
/// `pass`, and `both.pem`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        place.write("pass", "open sesame\n");
        let identity = self_signed(&Leaf::server(Name::of_this_machine(), Validity::days(5))).unwrap();
        let (key, certificate) = (
            files::key_pem(&identity.key),
            files::certificates_pem(&identity.chain),
        );
        let secret = files::encrypted_key_pem(&identity.key, &place.path("pass")).unwrap();
        place.write("key.pem", &key);
        place.write("cert.pem", &certificate);
        place.write("secret.pem", &secret);
        place.write("both.pem", &(key + &certificate));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        self.mode(name, 0o600);
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn fifo(&self, name: &str) {
        let status = std::process::Command::new("mkfifo").arg(self.path(name)).status();
        assert!(status.unwrap().success());
    }

    /// A string whose files, written `@NAME`, are those of this place.
    fn string(&self, text: &str) -> String {
        text.replace('@', &format!("{}/", self.0.path().display()))
    }

    fn at_home(&self, netkit: Netkit) -> Netkit {
        netkit
            .env("XDG_DATA_HOME", self.path("data"))
            .env("SSLKEYLOGFILE", "")
    }

    fn netkit<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Netkit {
        self.at_home(netkit(args))
    }

    /// `serve echo`, on what `fields` say.
    fn serve(&self, string: &str) -> Netkit {
        self.netkit(["serve", "echo", &self.string(string)])
            .stdin(std::process::Stdio::null())
    }

    /// That whoever trusts `cert.pem` gets an answer from the server.
    fn answers(&self, server: &Run) {
        let endpoint = self.string(&format!("{}:trustRoots=@cert.pem", server.endpoint()));
        self.netkit(["connect", &endpoint])
            .input("hello")
            .run()
            .status(0)
            .wrote("hello");
    }
}

/// A shell that puts netkit in its place, with the name of the directory as `$D`.
fn shell(place: &Place, script: &str) -> Run {
    let script = script.replace("netkit", &format!("exec '{}'", env!("CARGO_BIN_EXE_netkit")));
    place
        .at_home(program("bash", ["-c", &script]))
        .env("D", place.0.path())
        .start()
}

#[test]
fn what_is_no_file_is_refused_and_never_waited_for() {
    let place = Place::new();
    place.fifo("fifo");
    fs::write(place.path("large"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
    for (fields, words) in [
        ("@fifo:@cert.pem", "nobody wrote to the pipe `@fifo` within 5s"),
        ("@.:@cert.pem", "`@.` is a directory, not a file"),
        ("/dev/zero:@cert.pem", "`/dev/zero` is a device, not a file"),
        (
            "@large",
            "`@large` is larger than 1 MiB, and nothing of this kind is",
        ),
        (
            "@secret.pem:@cert.pem:passphraseFile=@.",
            "`@.` is a directory, not a file",
        ),
        (
            "@both.pem:clientCA=/dev/zero",
            "`/dev/zero` is a device, not a file",
        ),
    ] {
        let outcome = place.serve(&format!("tls:0:{fields}")).run().status(7);
        outcome.failed_in_one_line().mentions(&place.string(words));
    }
    let outcome = place
        .netkit(["connect", "tls:localhost:9:trustRoots=/dev/zero"])
        .run();
    outcome.status(2).mentions("`/dev/zero` is a device, not a file");
}

#[test]
fn keys_and_passphrases_come_through_the_pipes_of_a_shell() {
    let place = Place::new();
    for script in [
        "netkit serve echo tls:0:<(cat $D/key.pem):<(cat $D/cert.pem)",
        // One pipe with both, which is read once.
        "netkit serve echo tls:0:<(cat $D/both.pem)",
        "netkit serve echo tls:0:$D/secret.pem:$D/cert.pem:passphraseFile=<(cat $D/pass)",
    ] {
        let server = shell(&place, script);
        place.answers(&server);
        server.signal(Signal::HUP);
        if script.contains("passphraseFile") {
            // The passphrase is known, though it is not there a second time.
            server.await_stderr("reloaded the certificates");
        } else {
            server.await_stderr("is a pipe, and what came through it at the start is not there again");
        }
        place.answers(&server);
        server.stop().status(0);
    }
}

#[test]
fn only_files_of_a_directory_count() {
    let place = Place::new();
    fs::create_dir(place.path("several")).unwrap();
    fs::create_dir(place.path("several/sub.pem")).unwrap();
    place.fifo("several/pipe.pem");
    fs::copy(place.path("both.pem"), place.path("several/a.pem")).unwrap();
    let server = place.serve("tls:0:certDir=@several").start();
    let endpoint = place.string(&format!("{}:trustRoots=@several", server.endpoint()));
    let outcome = place.netkit(["connect", &endpoint]).input("hello").run();
    outcome.status(0).wrote("hello").said("");
    server.stop().status(0);
}

#[test]
fn a_passphrase_that_nobody_needs_is_said_and_read_all_the_same() {
    let place = Place::new();
    for (string, words) in [
        (
            "tls:0:@both.pem:passphraseFile=@pass",
            "passphraseFile is not needed: `@both.pem` is not encrypted",
        ),
        (
            "ssl:0:@key.pem:@cert.pem:passphraseFile=@pass",
            "passphraseFile is not needed: `@key.pem` is not encrypted",
        ),
    ] {
        let server = place.serve(string).start();
        server.endpoint();
        server.stop().status(0).mentions(&place.string(words));
        let gone = string.replace("@pass", "@gone");
        let outcome = place.serve(&gone).run().status(7);
        outcome.mentions(&place.string("cannot read `@gone`: no such file or directory"));
    }
    let string = "tls:localhost:9:certificate=@both.pem:passphraseFile=@gone";
    let outcome = place.netkit(["connect", &place.string(string)]).run();
    outcome.status(2).mentions("cannot read");
}

#[test]
fn ssl_takes_a_passphrase_at_both_ends() {
    let place = Place::new();
    let server = place
        .serve("ssl:0:@secret.pem:@cert.pem:passphraseFile=@pass")
        .start();
    place.answers(&server);
    let client =
        place.string("ssl:localhost:9:certKey=@cert.pem:privateKey=@secret.pem:passphraseFile=@none");
    let outcome = place.netkit(["connect", &client]).run().status(2);
    outcome.mentions(&place.string("cannot read `@none`"));
    let outcome = place
        .netkit(["connect", "ssl:localhost:9:passphraseFile=x"])
        .run();
    outcome
        .status(2)
        .mentions("passphraseFile is of no use without certKey");
    let said = server.stop().status(0).stderr;
    assert!(!said.contains("everybody"), "{said}");
}

#[test]
fn secrets_that_everybody_can_read_are_warned_of() {
    let place = Place::new();
    place.mode("secret.pem", 0o644);
    place.mode("pass", 0o604);
    place.mode("cert.pem", 0o644);
    let server = place
        .serve("tls:0:@secret.pem:@cert.pem:passphraseFile=@pass")
        .start();
    place.answers(&server);
    let said = server.stop().status(0);
    // A key under a passphrase is one that may be seen.
    assert_eq!(said.stderr.matches("everybody").count(), 1, "{}", said.stderr);
    said.mentions(&place.string("everybody on this machine can read the passphrase in `@pass`"));
    place.mode("key.pem", 0o644);
    let server = place.serve("tls:0:@key.pem:@cert.pem").start();
    server.endpoint();
    let said = server.stop().status(0);
    said.mentions(&place.string("everybody on this machine can read the private key in `@key.pem`"));
}

#[test]
fn an_authority_that_others_could_change_vouches_for_nothing() {
    let place = Place::new();
    place.netkit(["cert", "trust"]).run().status(0);
    place.mode("data/netkit/authority", 0o770);
    let words = "authority` can be changed by others";
    let help = "delete the directory `";
    let outcome = place.netkit(["cert", "trust"]).run().status(1).wrote("");
    outcome.mentions(words).mentions(help);
    let server = place.serve("tls:0").start();
    let said = server.await_stderr("listening on");
    assert!(
        said.contains(words) && said.contains(help) && said.contains(":pin=sha256/"),
        "{said}"
    );
    let (named, pinned) = (server.endpoint(), server.endpoint());
    let named = named.split_once(":pin=").unwrap().0;
    let outcome = place.netkit(["connect", named]).run().status(5);
    outcome.mentions(words).mentions(help);
    // Once it is put right, a server that runs is as good as a new one, and its key is the same.
    fs::remove_dir_all(place.path("data/netkit/authority")).unwrap();
    server.signal(Signal::HUP);
    crate::harness::eventually("the authority", || {
        place
            .path("data/netkit/authority/cert.pem")
            .exists()
            .then_some(())
    });
    for endpoint in [named, &pinned] {
        let outcome = place.netkit(["connect", endpoint]).input("hello").run();
        outcome.status(0).wrote("hello");
    }
    server.stop().status(0);
}

/// A terminal, and what is seen on it.
struct Terminal {
    master: OwnedFd,
    ours: OwnedFd,
    seen: Capture,
}

impl Terminal {
    fn new() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let ours = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        let seen = Capture::of(fs::File::from(master.try_clone().unwrap()));
        Terminal { master, ours, seen }
    }

    /// netkit in a session of its own, with this terminal or with none.
    fn session(&self, place: &Place, args: &[&str], terminal: bool) -> Netkit {
        let flags: &[&str] = if terminal { &["-c"] } else { &[] };
        let args: Vec<String> = args.iter().map(|arg| place.string(arg)).collect();
        // What the tests were started to ignore is not for these runs to ignore.
        let netkit = program("setsid", flags)
            .args(["env", "--default-signal"])
            .arg(env!("CARGO_BIN_EXE_netkit"))
            .args(args);
        let ours: std::process::Stdio = if terminal {
            self.ours.try_clone().unwrap().into()
        } else {
            std::process::Stdio::null()
        };
        place.at_home(netkit).stdin(ours)
    }

    /// Waits for the prompt, when nobody sees what is typed, and types.
    fn answer(&self, prompt: &str, typed: &str) {
        self.seen.until(
            |seen| contains(seen, prompt.as_bytes()),
            || format!("no `{prompt}`: {}", self.seen.so_far().escape_ascii()),
        );
        assert!(!self.echoes());
        rustix::io::write(&self.master, typed.as_bytes()).unwrap();
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.ours)
            .unwrap()
            .local_modes
            .contains(LocalModes::ECHO)
    }

    fn is_as_before(&self) {
        assert!(self.echoes());
        let seen = String::from_utf8(self.seen.so_far()).unwrap();
        assert!(!seen.contains("sesame"), "{seen}");
    }
}

#[test]
fn whoever_sits_at_the_terminal_is_asked_for_a_passphrase_once() {
    let (place, terminal) = (Place::new(), Terminal::new());
    let string = "tls:0:@secret.pem:@cert.pem";
    let server = terminal.session(&place, &["serve", "echo", string], true).start();
    let prompt = place.string("passphrase for @secret.pem: ");
    terminal.answer(&prompt, "open barley\n");
    terminal.answer(&format!("wrong passphrase; {prompt}"), "open sesame\n");
    server.endpoint();
    terminal.is_as_before();
    place.answers(&server);
    server.signal(Signal::HUP);
    server.await_stderr("reloaded the certificates");
    // A new key under another passphrase: nobody is asked in the middle of a run.
    place.write("other", "another\n");
    let identity = self_signed(&Leaf::server(Name::of_this_machine(), Validity::days(5))).unwrap();
    let secret = files::encrypted_key_pem(&identity.key, &place.path("other")).unwrap();
    place.write("secret.pem", &secret);
    server.signal(Signal::HUP);
    server.await_stderr("has another passphrase than the one given at the start");
    place.answers(&server);
    server.stop().status(0);
    let seen = String::from_utf8(terminal.seen.so_far()).unwrap();
    assert_eq!(seen.matches("passphrase for").count(), 2, "{seen}");
}

#[test]
fn three_wrong_passphrases_are_enough() {
    let (place, terminal) = (Place::new(), Terminal::new());
    let args = ["listen", "tls:0:@secret.pem:@cert.pem"];
    let listen = terminal.session(&place, &args, true).start();
    for count in 1..=3 {
        let asked = |seen: &[u8]| String::from_utf8_lossy(seen).matches("passphrase for").count() >= count;
        terminal.seen.until(asked, || format!("no question {count}"));
        rustix::io::write(&terminal.master, b"x\n").unwrap();
    }
    let outcome = listen.wait().status(7);
    outcome.mentions(&place.string("wrong passphrase for the private key in `@secret.pem`"));
    terminal.is_as_before();
}

#[test]
fn an_interrupt_instead_of_a_passphrase_leaves_the_terminal_as_it_was() {
    let place = Place::new();
    let client = "tls:localhost:9:certificate=@cert.pem:privateKey=@secret.pem";
    for args in [
        &["serve", "echo", "tls:0:@secret.pem:@cert.pem"][..],
        &["connect", "--no-stdin", client],
    ] {
        let terminal = Terminal::new();
        let run = terminal.session(&place, args, true).start();
        terminal.answer("passphrase for", "open se\x03");
        run.wait().status(130);
        terminal.is_as_before();
    }
}

#[test]
fn a_signal_instead_of_a_passphrase_ends_the_run_and_leaves_the_terminal_as_it_was() {
    let place = Place::new();
    let client = "tls:localhost:9:certificate=@cert.pem:privateKey=@secret.pem";
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        for args in [
            &["serve", "echo", "tls:0:@secret.pem:@cert.pem"][..],
            &["connect", "--no-stdin", client],
        ] {
            let terminal = Terminal::new();
            let run = terminal.session(&place, args, true).start();
            terminal.answer("passphrase for", "open se");
            run.signal(signal);
            run.wait().status(status);
            terminal.is_as_before();
        }
    }
}

#[test]
fn after_a_passphrase_signals_mean_what_they_meant() {
    let place = Place::new();
    let server = place.serve("tls:0:@both.pem:clientCA=@cert.pem").start();
    let client = format!(
        "{}:trustRoots=@cert.pem:certificate=@cert.pem:privateKey=@secret.pem",
        server.endpoint()
    );
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let terminal = Terminal::new();
        let args = ["connect", "--send", "hello", &client];
        let run = terminal.session(&place, &args, true).start();
        terminal.answer("passphrase for", "open sesame\n");
        run.await_stdout("hello");
        run.signal(signal);
        run.wait().status(status);
    }
    server.stop().status(0);
}

#[test]
fn clients_and_authorities_ask_too_and_without_a_terminal_nobody_does() {
    let (place, terminal) = (Place::new(), Terminal::new());
    place
        .netkit(["cert", "ca", "--out"])
        .arg(place.path("ca"))
        .arg("--passphrase-file")
        .arg(place.path("pass"))
        .run()
        .status(0);
    let issue = ["cert", "issue", "--ca", "@ca", "--out", "@out", "localhost"];
    let run = terminal.session(&place, &issue, true).start();
    terminal.answer("passphrase for", "open sesame\n");
    run.wait().status(0);
    terminal.is_as_before();
    let outcome = terminal.session(&place, &issue, false).run().status(2);
    outcome
        .mentions("is encrypted")
        .mentions("--ca-passphrase-file FILE names a file with its passphrase");

    let server = place.serve("tls:0:@both.pem:clientCA=@cert.pem").start();
    let client = format!(
        "{}:trustRoots=@cert.pem:certificate=@cert.pem:privateKey=@secret.pem",
        server.endpoint()
    );
    let terminal = Terminal::new();
    let args = ["connect", "--no-stdin", "--send", "hello", &client];
    let run = terminal.session(&place, &args, true).start();
    terminal.answer("passphrase for", "open sesame\n");
    run.wait().status(0).wrote("hello");
    let outcome = terminal.session(&place, &args, false).run().status(2);
    outcome
        .mentions("is encrypted")
        .mentions("passphraseFile=FILE names a file with its passphrase");
    server.stop().status(0);
}

#[test]
fn without_any_root_it_is_said_why_there_is_none() {
    let place = Place::new();
    place.fifo("fifo");
    let server = place.serve("tls:0:@both.pem").start();
    let endpoint = server.endpoint();
    for (file, words) in [
        ("none", "SSL_CERT_FILE names `@none`: no such file or directory"),
        ("pass", "SSL_CERT_FILE names `@pass`, which holds no certificate"),
        // Nobody writes to it, and nobody waits for that.
        ("fifo", "SSL_CERT_FILE names `@fifo`, which is no file"),
    ] {
        let run = place.netkit(["connect", &endpoint]);
        let outcome = run
            .env("SSL_CERT_FILE", place.path(file))
            .env("SSL_CERT_DIR", "")
            .run();
        outcome.status(5).mentions(&place.string(words));
    }
    // Where some are left, what is missing is for those who look for it.
    let run = place.netkit(["connect", "-vv", &endpoint]);
    let run = run.env("SSL_CERT_FILE", place.path("both.pem"));
    let outcome = run.env("SSL_CERT_DIR", place.path("gone")).run().status(0);
    outcome.mentions(&place.string("passed over for trust: cannot read `@gone`"));
    server.stop().status(0);
}
