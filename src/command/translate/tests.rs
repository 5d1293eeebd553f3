//! Lines of others, and what comes of them. Each line of ours is one that the program takes.

use std::ffi::{OsStr, OsString};

use clap::Parser;
use proptest::prelude::*;

use super::*;
use crate::command::Cli;
use netkit::transport::reading::{ClientEndpoint, ServerEndpoint};

fn read(line: &str) -> Result<Translation> {
    // No line here has a word with a blank in it but for what stands between single quotes.
    let words = line.split('\'').enumerate().flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(OsString::from).collect::<Vec<_>>(),
        _ => vec![part.into()],
    });
    let (source, words) = cut(&words.collect::<Vec<_>>())?;
    translate(&source, &words).and_then(sound)
}

/// That clap takes the words, and that each endpoint among them has the role it stands in.
fn check(words: &[String]) {
    let line = std::iter::once("netkit").chain(words.iter().map(String::as_str));
    Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let client = |text: &str| {
        drop(ClientEndpoint::parse(OsStr::new(text)).unwrap_or_else(|refused| panic!("{refused:#}")))
    };
    let server = |text: &str| {
        drop(ServerEndpoint::parse(OsStr::new(text)).unwrap_or_else(|refused| panic!("{refused:#}")))
    };
    match words[0].as_str() {
        "connect" | "wait" => client(&words[1]),
        "listen" => server(&words[1]),
        "serve" => server(&words[2]),
        "relay" => {
            server(&words[1]);
            if words[2] != "--to" {
                client(&words[2]);
            }
            let targets = words.windows(2).filter(|pair| pair[0] == "--to");
            targets.for_each(|pair| client(&pair[1]));
        }
        verb => panic!("{verb}"),
    }
}

fn check_all(translation: &Translation) {
    for line in &translation.lines {
        check(&line.words);
        if !line.await_first.is_empty() {
            check(&[vec!["wait".to_owned()], line.await_first.clone()].concat());
        }
    }
}

/// What is lost, without the reasons.
fn lost(translation: &Translation) -> Vec<&str> {
    translation
        .told
        .lost
        .iter()
        .map(|(what, _)| what.as_str())
        .collect()
}

/// A line, ours, and what is lost.
const LINES: &[(&str, &str, &[&str])] = &[
    // socat
    ("socat TCP-LISTEN:80,fork TCP:h:81", "relay tcp:80 tcp:h:81", &[]),
    (
        "socat TCP:h:81 TCP-LISTEN:80",
        "relay tcp:80 tcp:h:81 --once",
        &[],
    ),
    (
        "socat TCP4-LISTEN:80,bind=127.0.0.1,reuseaddr,fork,su=nobody,range=10.0.0.0/8,max-children=5 TCP4:h:81,bind=a:99",
        "relay tcp:80:interface=127.0.0.1 tcp4:h:81:bindAddress=a --max-connections 5 --allow 10.0.0.0/8 --user nobody",
        &["bind=a:99"],
    ),
    ("socat - TCP4:h:www,crnl", "connect tcp4:h:80 --crlf", &["crnl"]),
    (
        "socat -d -d -v READLINE,history=x TCP:h:80",
        "connect tcp:h:80 -vv",
        &["history=x"],
    ),
    (
        "socat -dd - TCP:h:80,ignoreeof",
        "connect tcp:h:80 -v",
        &["ignoreeof"],
    ),
    (
        "socat -x -lyuser -lpname -T5 - TCP:h:80",
        "connect tcp:h:80 --hexdump --idle-timeout 5s --syslog=name",
        &["-lyuser"],
    ),
    (
        "socat -lf log -lp name -b 99 - TCP:h:80",
        "connect tcp:h:80 --log-file log",
        &["-b 99", "-lpname"],
    ),
    (
        "socat -lflog -b 99 - TCP:h:80",
        "connect tcp:h:80 --log-file log",
        &["-b 99"],
    ),
    (
        "socat -u TCP-LISTEN:33,reuseaddr OPEN:/tmp/in.log,creat,append",
        "listen tcp:33 >> /tmp/in.log",
        &[],
    ),
    ("socat -U - TCP:h:1", "connect tcp:h:1", &[]),
    ("socat -u FILE:x TCP:h:1", "connect tcp:h:1 < x > /dev/null", &[]),
    (
        "socat -U TCP:h:1 'a b/c'",
        "connect tcp:h:1 < 'a b/c' > /dev/null",
        &[],
    ),
    ("socat -u - TCP:h:1", "connect tcp:h:1 > /dev/null", &[]),
    ("socat - UNIX-CONNECT:/run/x", "connect unix:/run/x", &[]),
    (
        "socat UNIX-LISTEN:/run/x,fork,mode=0600,user=me TCP6:[::1]:80",
        "relay unix:/run/x:mode=600 'tcp6:[::1]:80'",
        &["user=me"],
    ),
    (
        "socat ABSTRACT-LISTEN:x,fork TCP:a:1",
        "relay unix:@x tcp:a:1",
        &[],
    ),
    (
        "socat - OPENSSL:h:443,verify=0",
        "connect tls:h:443:insecure=yes",
        &[],
    ),
    (
        "socat - OPENSSL:h:443,cafile=ca.pem,cert=c.pem,key=k.pem,commonname=x,cipher=y",
        "connect tls:h:443:certificate=c.pem:privateKey=k.pem:trustRoots=ca.pem:serverName=x",
        &["cipher=y"],
    ),
    (
        "socat - SSL:h:443,key=k.pem",
        "connect tls:h:443",
        &["the key k.pem"],
    ),
    (
        "socat OPENSSL-LISTEN:443,fork,cert=s.pem,cafile=c.pem -",
        "listen tls:443:privateKey=s.pem:clientCA=c.pem --keep-open",
        &[],
    ),
    (
        "socat OPENSSL-LISTEN:443,fork,cert=s.pem,key=k.pem,verify=0 TCP:h:80",
        "relay tls:443:privateKey=k.pem:certKey=s.pem tcp:h:80",
        &[],
    ),
    (
        "socat OPENSSL-LISTEN:443,fork,cert=s.pem TCP:h:80",
        "relay tls:443:privateKey=s.pem tcp:h:80",
        &["verify"],
    ),
    (
        "socat TCP-LISTEN:7,fork,su=me EXEC:cat",
        "serve echo tcp:7 --user me",
        &[],
    ),
    (
        "socat -t9 TCP-LISTEN:7 PIPE",
        "serve echo tcp:7 --once",
        &["-t 9"],
    ),
    (
        "socat TCP-LISTEN:7,fork,su=me EXEC:/bin/date",
        "listen tcp:7 --keep-open",
        &["su=me", "EXEC:/bin/date"],
    ),
    (
        "socat -T 5 -t2 - UDP:h:53",
        "connect udp:h:53 --idle-timeout 5s --half-close-timeout 2s",
        &[],
    ),
    ("socat UDP4-RECV:53 -", "listen udp:53", &[]),
    (
        "socat -T 5 UDP-LISTEN:53,fork UDP:h:5353",
        "relay udp:53 udp:h:5353 --idle-timeout 5s",
        &[],
    ),
    (
        "socat UDP-LISTEN:53 UDP:h:5353",
        "relay udp:53 udp:h:5353 --once",
        &[],
    ),
    (
        "socat - TCP:h:80,retry=5,interval=2",
        "wait tcp:h:80 --interval 2s --timeout 10s -- netkit connect tcp:h:80",
        &[],
    ),
    (
        "socat TCP-LISTEN:1,fork TCP:h:80,retry=5",
        "relay tcp:1 tcp:h:80",
        &["retry=5"],
    ),
    (
        "socat - PROXY:p:h:22,proxyport=3128",
        "connect tcp:h:22",
        &["PROXY:p:h:22", "proxyport=3128"],
    ),
    (
        "socat TCP6-LISTEN:80,ipv6only=0,fork TCP:h:81,connect-timeout=3,keepidle=60,sndbuf=4096",
        "relay tcp6:80 tcp:h:81:timeout=3s:keepalive=1m",
        &["sndbuf=4096"],
    ),
    (
        "socat - TCP:h:81,fork,max-children=3",
        "connect tcp:h:81",
        &["fork", "max-children=3"],
    ),
    // nc
    ("nc -l 1234", "listen tcp:1234", &[]),
    ("nc -lk -p 1234", "listen tcp:1234 --keep-open", &[]),
    ("nc -l -s ::1 1234", "listen 'tcp6:1234:interface=[::1]'", &[]),
    ("nc -6 -l 1234", "listen tcp6:1234:v6only=yes", &[]),
    ("nc -l localhost 1234", "listen tcp:1234:interface=127.0.0.1", &[]),
    ("nc -N localhost 80", "connect tcp:localhost:80", &[]),
    (
        "nc -w5 h 80",
        "connect tcp:h:80:timeout=5s --idle-timeout 5s",
        &[],
    ),
    ("nc -4uv h 53", "connect udp4:h:53 -v", &[]),
    ("nc -dCU /run/x", "connect unix:/run/x --crlf", &[]),
    ("nc -lU /run/x", "listen unix:/run/x", &[]),
    ("nc -z -w 2 h 22", "wait tcp:h:22 --timeout 2s", &[]),
    ("nc -q 0 h smtp", "connect tcp:h:25 --half-close-timeout 1ms", &[]),
    ("nc -q -1 h 25", "connect tcp:h:25", &[]),
    ("nc -l -p 80 -e /bin/cat", "serve echo tcp:80 --once", &[]),
    ("nc -l -p 80 -e /bin/sh", "listen tcp:80", &["-e /bin/sh"]),
    (
        "nc -x p:1 -i 1 -T tos -p 5 -s 10.0.0.1 h 80",
        "connect tcp:h:80:bindAddress=10.0.0.1",
        &["-x p:1", "-i 1", "-T tos", "-p 5"],
    ),
    (
        "nc.traditional -o f -n 10.0.0.1 80",
        "connect tcp:10.0.0.1:80 --hexdump",
        &["-o f"],
    ),
    ("nc -k h 80", "connect tcp:h:80", &["-k"]),
    // ncat
    ("ncat -l", "listen tcp6:31337", &[]),
    ("ncat -4lk", "listen tcp:31337 --keep-open", &[]),
    (
        "ncat -l --allow 10.0.0.0/8,foo -m 5 8080",
        "listen tcp6:8080 --allow 10.0.0.0/8",
        &["--allow foo", "-m 5"],
    ),
    ("ncat --ssl h 443", "connect tls:h:443", &[]),
    (
        "ncat --ssl-verify --ssl-trustfile ca.pem --ssl-servername n --ssl-alpn h2 h 443",
        "connect tls:h:443:trustRoots=ca.pem:serverName=n:alpn=h2",
        &[],
    ),
    (
        "ncat -l --ssl --ssl-cert c.pem --ssl-key=k.pem 443",
        "listen tls:443:privateKey=k.pem:certKey=c.pem",
        &[],
    ),
    ("ncat -l --ssl 443", "listen tls:443", &[]),
    (
        "ncat -lk -e /bin/cat -m 3 -i 10 7",
        "serve echo tcp6:7 --max-connections 3 --idle-timeout 10s",
        &[],
    ),
    (
        "ncat -6 -C -w 500ms h 80 -o out --idle 5",
        "connect tcp6:h:80:timeout=500ms --crlf --idle-timeout 5s",
        &["-o out"],
    ),
    ("ncat -U /run/x --recv-only", "connect unix:/run/x", &[]),
    ("ncat -l --recv-only 80", "listen tcp6:80 --no-stdin", &[]),
    (
        "ncat --proxy p:3128 --proxy-type http h 80",
        "connect tcp:h:80",
        &["--proxy p:3128", "--proxy-type http"],
    ),
    // openssl
    ("openssl s_client -connect h:443", "connect tls:h:443", &[]),
    (
        "openssl s_client -connect h:443 -servername n -CAfile ca.pem -verify_return_error -quiet -alpn h2,x -tls1_3 -crlf",
        "connect tls:h:443:trustRoots=ca.pem:serverName=n:alpn=h2,x:minVersion=1.3:maxVersion=1.3 --crlf",
        &[],
    ),
    (
        "openssl s_client h:443 -starttls smtp -showcerts",
        "connect tls:h:443",
        &["-starttls smtp", "-showcerts"],
    ),
    (
        "openssl s_client --connect [::1]:443 -servername n -6 -cert c.pem -key k.pem -pass file:p",
        "connect 'tls:[::1]:443:certificate=c.pem:privateKey=k.pem:serverName=n:passphraseFile=p:endpoint=[tcp6:[::1]:443]'",
        &[],
    ),
    (
        "openssl s_client -unix /run/x -servername n",
        "connect 'tls:n:4433:endpoint=[unix:/run/x]'",
        &[],
    ),
    (
        "openssl s_client -connect h -pass pass:secret -cert c.pem",
        "connect tls:h:4433:certificate=c.pem",
        &["-pass"],
    ),
    (
        "openssl s_server -accept 4433 -cert c.pem -key k.pem -CAfile ca.pem -Verify 1 -www",
        "listen tls:4433:privateKey=k.pem:certKey=c.pem:clientCA=ca.pem --keep-open",
        &["the depth of -Verify 1", "-www"],
    ),
    (
        "openssl s_client -connect h:1 -verify 3 -nbio",
        "connect tls:h:1",
        &["the depth of -verify 3"],
    ),
    (
        "openssl s_server -CAfile ca.pem -verify 1",
        "listen tls:4433:privateKey=server.pem:clientCA=ca.pem:clientAuth=optional --keep-open",
        &["the depth of -verify 1"],
    ),
    (
        "openssl s_server -accept 127.0.0.1:443 -naccept 1 -tls1_2",
        "listen tls:443:privateKey=server.pem:interface=127.0.0.1:minVersion=1.2:maxVersion=1.2",
        &[],
    ),
];

/// Those of them that read no input and keep their half open.
const HELD: &[&str] = &[
    "socat -u TCP-LISTEN:33,reuseaddr OPEN:/tmp/in.log,creat,append",
    "socat -U - TCP:h:1",
    "nc -dCU /run/x",
    "ncat -U /run/x --recv-only",
];

#[test]
fn lines_become_lines_that_the_program_takes() {
    for (line, wanted, missing) in LINES.iter().filter(|(_, wanted, _)| !wanted.is_empty()) {
        let translation = read(line).unwrap_or_else(|error| panic!("{line}: {error:#}"));
        let [made] = &translation.lines[..] else {
            panic!("{line}");
        };
        assert_eq!(made.held_open, HELD.contains(line), "{line}");
        let before = if made.held_open {
            "tail -f /dev/null | "
        } else {
            ""
        };
        assert_eq!(made.text(), format!("{before}netkit {wanted}"), "{line}");
        assert_eq!(lost(&translation), *missing, "{line}");
        check_all(&translation);
    }
}

#[test]
fn a_client_that_verifies_nothing_is_told_the_endpoint_that_does_not_either() {
    for (line, endpoint) in [
        ("ncat --ssl h 443", "tls:h:443:insecure=yes"),
        (
            "openssl s_client -connect h:443 -CAfile c",
            "tls:h:443:insecure=yes",
        ),
        (
            "openssl s_client -4 -connect h:443 -alpn h2",
            "tls:h:443:alpn=h2:endpoint=[tcp4:h:443]:insecure=yes",
        ),
    ] {
        let notes = read(line).unwrap().told.notes;
        assert!(notes.iter().any(|note| note.ends_with(endpoint)), "{notes:?}");
    }
    for line in [
        "ncat --ssl-verify h 443",
        "openssl s_client -connect h:443 -verify_return_error -verify_hostname h",
        "socat - OPENSSL:h:443",
    ] {
        assert!(read(line).unwrap().told.notes.is_empty(), "{line}");
    }
}

#[test]
fn what_has_no_reading_is_pointed_at() {
    for (line, carets, message) in [
        (
            "telnet h 1",
            "telnet",
            "`telnet` is no program whose lines are read",
        ),
        (
            "socat - FOO:1",
            "FOO",
            "netkit has nothing for an address of the type `FOO`",
        ),
        ("socat -Q - -", "-Q", "socat has no option `-Q`"),
        ("socat -lf", "-lf", "`-lf` of socat needs a value"),
        (
            "socat - TCP:h",
            "TCP:h",
            "a host or a port is missing in this address",
        ),
        ("socat - TCP::80", ":", "a host is missing"),
        ("socat TCP-LISTEN:99999 -", "99999", "`99999` is no port"),
        ("socat -", "", "socat needs two addresses"),
        ("socat - - -", "-", "socat takes two addresses"),
        ("socat - EXEC:ls", "EXEC:ls", "neither address is of the network"),
        (
            "socat TCP:a:1 TCP:b:2",
            "TCP:b:2",
            "both addresses connect, and a relay listens on one of them",
        ),
        (
            "socat UDP-LISTEN:1,fork TCP:h:1",
            "TCP:h:1",
            "one address carries datagrams and the other one bytes, which socat just runs together",
        ),
        (
            "socat FILE:x TCP:b:2",
            "FILE:x",
            "one file is both read and written",
        ),
        (
            "socat - 'TCP:\"h:2'",
            "TCP:\"h:2",
            "a quote or a bracket is not closed",
        ),
        ("nc -lY", "Y", "nc has no option `-Y`"),
        ("nc -w", "w", "`-w` of nc needs a value"),
        ("nc -w x h 80", "x", "`x` is no length of time"),
        ("nc h", "", "a port is missing"),
        ("nc -z h 20-30", "20-30", "`20-30` is no port"),
        (
            "nc -uU x",
            "u",
            "netkit has no endpoint for datagrams on UNIX sockets",
        ),
        (
            "ncat --sctp h 1",
            "--sctp",
            "netkit has no endpoint for `--sctp` of ncat",
        ),
        ("ncat --ssl=x h 1", "x", "`--ssl` of ncat takes no value"),
        ("openssl", "", "s_client or s_server is missing"),
        (
            "openssl x509",
            "x509",
            "of openssl, s_client and s_server are read, and not `x509`",
        ),
        ("openssl s_client -foo", "-foo", "s_client has no option `-foo`"),
        (
            "openssl s_client -dtls",
            "-dtls",
            "netkit has no endpoint for TLS on datagrams",
        ),
        ("stunnel -fd 0", "-fd", "of stunnel, a file is read and no option"),
    ] {
        let error = read(line).map(|translation| translation.lines).unwrap_err();
        assert_eq!((error.status(), error.why()), (Status::Usage, message), "{line}");
        let picture = error.picture_text().unwrap();
        let marks = picture.lines().nth(1).unwrap();
        let (from, to) = (marks.find('^').unwrap(), marks.len());
        let shown = picture.lines().next().unwrap();
        let under: String = shown.chars().skip(from).take(to - from).collect();
        assert_eq!(under.trim(), carets, "{line}\n{picture}");
    }
}

#[test]
fn a_file_of_stunnel_is_a_line_for_each_service() {
    let text = "; global\nsetuid = nobody\ndebug = 7\nforeground = yes\ndelay = yes\n\n\
                [https]\naccept  = 443\nconnect = 127.0.0.1:80\nconnect = 127.0.0.1:81\ncert = s.pem\nCAfile = ca.pem\n\
                verifyChain = yes\nTIMEOUTidle = 60\n\n\
                [imaps]\nclient = yes\naccept = 127.0.0.1:143\nconnect = mail.example.com:993\n\
                [smtp]\nclient = yes\naccept = /run/smtp\nconnect = m:587\nprotocol = smtp\nverifyChain = yes\ncheckHost = m.example\nCAfile = ca.pem\n\
                [proxied]\naccept = 444\nconnect = 80\nprotocol = proxy\ncert = s.pem\nkey = k.pem\n";
    let translation = stunnel::translate(text).unwrap();
    let lines: Vec<_> = translation.lines.iter().map(told::Line::text).collect();
    assert_eq!(
        lines,
        [
            "netkit relay tls:443:privateKey=s.pem:interface=0.0.0.0:clientCA=ca.pem --to tcp:127.0.0.1:80 \
             --to tcp:127.0.0.1:81 --idle-timeout 1m --user nobody -v",
            "netkit relay tcp:143:interface=127.0.0.1 tls:mail.example.com:993 --user nobody -v",
            "netkit relay unix:/run/smtp tls:m:587:trustRoots=ca.pem:serverName=m.example --user nobody -v",
            "netkit relay tls:444:privateKey=k.pem:certKey=s.pem:interface=0.0.0.0 haproxy:version=1:tcp:localhost:80 \
             --user nobody -v",
        ]
    );
    assert_eq!(lost(&translation), ["delay=yes", "protocol=smtp"]);
    check_all(&translation);
    let notes = translation.told.notes;
    assert!(
        notes[0].ends_with("tls:mail.example.com:993:insecure=yes"),
        "{notes:?}"
    );
}

#[test]
fn a_server_of_stunnel_without_a_certificate_is_told_of() {
    let notes = |text| stunnel::translate(text).unwrap().told.notes;
    let without = notes("foreground = yes\n[web]\naccept = 443\nconnect = 80\n");
    assert!(
        without
            .iter()
            .any(|note| note.starts_with("web: a server of stunnel needs cert")),
        "{without:?}"
    );
    assert!(notes("foreground = yes\n[web]\naccept = 443\nconnect = 80\ncert = c.pem\n").is_empty());
}

#[test]
fn a_file_that_has_no_reading_is_pointed_at() {
    for (text, number, message) in [
        ("[a]\nfoo\n", 2, "neither NAME = VALUE nor [SERVICE]"),
        ("[a]\naccept = 80\nconnect = x:y", 3, "`y` is no port"),
        ("\n[a]\naccept = 80\n", 2, "the service `a` has no `connect`"),
        ("[a]\nclient = maybe\n", 2, "`maybe` is neither yes nor no"),
        ("", 1, "the service `stunnel` has no `accept`"),
    ] {
        let fault = stunnel::translate(text).unwrap_err();
        let at = if message.contains("no port") { 1 } else { number };
        assert_eq!(
            (fault.number, fault.unread.message.as_str()),
            (at, message),
            "{text}"
        );
    }
}

#[test]
fn every_program_is_named_once() {
    for peer in PEERS {
        for name in peer.names {
            assert_eq!(
                PEERS.iter().filter(|other| other.names.contains(name)).count(),
                1,
                "{name}"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_words_are_answered(program in 0..PEERS.len(), words in proptest::collection::vec("[-a-zA-Z0-9:,=\\[\\]'\"\\\\é/.]{0,12}", 0..6)) {
        let words: Vec<OsString> = std::iter::once(PEERS[program].names[0].to_owned()).chain(words).map(OsString::from).collect();
        let (source, words) = cut(&words).unwrap();
        match translate(&source, &words).and_then(sound) {
            Ok(translation) => check_all(&translation),
            Err(error) => prop_assert_eq!(error.status(), Status::Usage),
        }
    }

    #[test]
    fn plausible_lines_are_answered_with_lines_that_hold(
        verb in proptest::sample::select(vec!["nc", "ncat", "openssl s_client", "openssl s_server", "socat"]),
        words in proptest::collection::vec(proptest::sample::select(vec![
            "-l", "-k", "-u", "-U", "-4", "-6", "-v", "-w", "-p", "5", "h", "::1", "80", "--ssl", "--allow", "10.0.0.0/8", "-connect",
            "h:443", "-cert", "x", "-unix", "-bind", "TCP:h:80", "TCP-LISTEN:80,fork", "SSL:h:1,verify=0", "-", "UNIX-L:x", "-z",
            "TCP4:[::1]:80,bind=[::1]:5,pf=ip6", "SSL-L:443,pf=ip6,bind=::1,mode=0,backlog=7", "-t0", "-T0", "EXEC:cat", "-accept", "-s", "-e", "cat",
        ]), 0..7),
    ) {
        let line = format!("{verb} {}", words.join(" "));
        if let Ok(translation) = read(&line) {
            check_all(&translation);
        }
    }

    #[test]
    fn any_file_is_answered(text in "(\\[?[a-zA-Z]{0,8}\\]? ?=? ?[a-z0-9:./]{0,8}\n){0,12}") {
        if let Some(translation) = stunnel::translate(&text).ok().and_then(|made| sound(made).ok()) {
            check_all(&translation);
        }
    }
}
