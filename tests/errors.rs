//! What a user sees of a bad endpoint string: all of standard error, the carets included.
//! Absent: failures at run time.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

use snapbox::{IntoData as _, assert_data_eq, str};
use unicode_width::UnicodeWidthStr;

use crate::harness::{Outcome, netkit};

/// What these strings are answered with; each has to be refused with status 2, and nothing on standard output.
fn refusals(verb: &[&str], endpoints: &[&str]) -> String {
    let mut text = String::new();
    for endpoint in endpoints {
        let outcome = refused(verb, OsStr::new(endpoint));
        // What would move the cursor or turn the line round has no place in a source file.
        let moves = |c: char| c.is_control() || c == '\u{202e}';
        let shown: String = endpoint
            .chars()
            .map(|c| {
                if moves(c) {
                    c.escape_unicode().to_string()
                } else {
                    c.into()
                }
            })
            .collect();
        writeln!(text, "$ netkit {} '{shown}'\n{}", verb.join(" "), outcome.stderr).unwrap();
    }
    text
}

fn refused(verb: &[&str], endpoint: &OsStr) -> Outcome {
    let outcome = netkit(verb).arg(endpoint).run().status(2).wrote("");
    let mut lines = outcome.stderr.lines();
    assert!(
        lines.next().is_some_and(|line| line.starts_with("error: ")),
        "{outcome:?}"
    );
    let picture = lines.next().unwrap_or_default();
    let carets = lines.next().unwrap_or_default();
    assert!(picture.starts_with("  "), "{outcome:?}");
    let marks = carets.trim_start_matches(' ');
    assert!(
        !marks.is_empty() && marks.chars().all(|mark| mark == '^'),
        "{outcome:?}"
    );
    assert!(
        lines.next().is_none_or(|line| line.starts_with("help: ")),
        "{outcome:?}"
    );
    assert_eq!(lines.next(), None, "{outcome:?}");
    outcome
}

const CONNECT: &[&str] = &["connect"];
const SERVE: &[&str] = &["serve", "echo"];
const LISTEN: &[&str] = &["listen"];

#[test]
fn unknown_type() {
    let strings = ["tpc:h:80", "gopher:h:80", "", ":", "a=b", "=", " tcp:h:80"];
    assert_data_eq!(
        refusals(CONNECT, &strings),
        str![[r#"
$ netkit connect 'tpc:h:80'
error: unknown endpoint type `tpc`
  tpc:h:80
  ^^^
help: did you mean `tcp`?

$ netkit connect 'gopher:h:80'
error: unknown endpoint type `gopher`
  gopher:h:80
  ^^^^^^

$ netkit connect ''
error: the endpoint type is empty
  
  ^

$ netkit connect ':'
error: the endpoint type is empty
  :
  ^

$ netkit connect 'a=b'
error: no endpoint type
  a=b
  ^^^
help: the first part without a `=` is the type: tcp:HOST:PORT

$ netkit connect '='
error: no endpoint type
  =
  ^
help: the first part without a `=` is the type: tcp:HOST:PORT

$ netkit connect ' tcp:h:80'
error: unknown endpoint type ` tcp`
   tcp:h:80
  ^^^^
help: did you mean `tcp`?


"#]]
        .raw()
    );
}

#[test]
fn unknown_name() {
    let strings = [
        "tcp:prot=1234",
        "tcp:h:80:bindaddress=::1",
        "tcp:h:80:colour=red",
        "tcp:h:80:=x",
        "unix:/a=b",
    ];
    assert_data_eq!(
        refusals(CONNECT, &strings),
        str![[r#"
$ netkit connect 'tcp:prot=1234'
error: unknown argument `prot` for a tcp client endpoint
  tcp:prot=1234
      ^^^^
help: did you mean `port`?

$ netkit connect 'tcp:h:80:bindaddress=::1'
error: unknown argument `bindaddress` for a tcp client endpoint
  tcp:h:80:bindaddress=::1
           ^^^^^^^^^^^
help: did you mean `bindAddress`?

$ netkit connect 'tcp:h:80:colour=red'
error: unknown argument `colour` for a tcp client endpoint
  tcp:h:80:colour=red
           ^^^^^^
help: it takes host, port, timeout, bindAddress, keepalive and nodelay

$ netkit connect 'tcp:h:80:=x'
error: unknown argument `` for a tcp client endpoint
  tcp:h:80:=x
           ^
help: it takes host, port, timeout, bindAddress, keepalive and nodelay

$ netkit connect 'unix:/a=b'
error: unknown argument `/a` for a unix client endpoint
  unix:/a=b
       ^^
help: a `=` that is part of a value is written `\=`


"#]]
        .raw()
    );
    let strings = ["tcp:prot=1234", "udp:80:backlog=5", "tcp6:80:v6onyl=yes"];
    assert_data_eq!(
        refusals(SERVE, &strings),
        str![[r#"
$ netkit serve echo 'tcp:prot=1234'
error: unknown argument `prot` for a tcp server endpoint
  tcp:prot=1234
      ^^^^
help: did you mean `port`?

$ netkit serve echo 'udp:80:backlog=5'
error: unknown argument `backlog` for a udp server endpoint
  udp:80:backlog=5
         ^^^^^^^
help: it takes port and interface

$ netkit serve echo 'tcp6:80:v6onyl=yes'
error: unknown argument `v6onyl` for a tcp6 server endpoint
  tcp6:80:v6onyl=yes
          ^^^^^^
help: did you mean `v6only`?


"#]]
        .raw()
    );
}

#[test]
fn unknown_value() {
    let strings = [
        "tcp:h:http",
        "tcp:h:+80",
        "tcp:h: 80",
        "tcp:h:0x50",
        "tcp:h:",
        "tcp:h:0",
        "tcp:h:65536",
        "tcp:h:99999999999999999999999",
        "tcp:h:٨٠",
        "tcp::80",
        "tcp:a..b:80",
        "tcp:h:80:timeout=soon",
        "tcp:h:80:timeout=-1",
        "tcp:h:80:timeout=0",
        "tcp:h:80:timeout=1e99",
        "tcp:h:80:nodelay=perhaps",
        "unix:",
        "unix:@",
        "fd:x",
    ];
    assert_data_eq!(
        refusals(CONNECT, &strings),
        str![[r#"
$ netkit connect 'tcp:h:http'
error: port `http` is not a number
  tcp:h:http
        ^^^^

$ netkit connect 'tcp:h:+80'
error: port `+80` is not a number
  tcp:h:+80
        ^^^

$ netkit connect 'tcp:h: 80'
error: port ` 80` is not a number
  tcp:h: 80
        ^^^

$ netkit connect 'tcp:h:0x50'
error: port `0x50` is not a number
  tcp:h:0x50
        ^^^^

$ netkit connect 'tcp:h:'
error: port `` is not a number
  tcp:h:
        ^

$ netkit connect 'tcp:h:0'
error: port `0` is not between 1 and 65535
  tcp:h:0
        ^

$ netkit connect 'tcp:h:65536'
error: port `65536` is not between 1 and 65535
  tcp:h:65536
        ^^^^^

$ netkit connect 'tcp:h:99999999999999999999999'
error: port `99999999999999999999999` is not between 1 and 65535
  tcp:h:99999999999999999999999
        ^^^^^^^^^^^^^^^^^^^^^^^

$ netkit connect 'tcp:h:٨٠'
error: port `٨٠` is not a number
  tcp:h:٨٠
        ^^

$ netkit connect 'tcp::80'
error: the host is empty
  tcp::80
      ^

$ netkit connect 'tcp:a..b:80'
error: host `a..b` has nothing between two dots
  tcp:a..b:80
      ^^^^

$ netkit connect 'tcp:h:80:timeout=soon'
error: timeout `soon` is not a length of time
  tcp:h:80:timeout=soon
                   ^^^^
help: a length of time is written like 30s, 250ms or 2m; a number alone is seconds

$ netkit connect 'tcp:h:80:timeout=-1'
error: timeout `-1` is out of range
  tcp:h:80:timeout=-1
                   ^^

$ netkit connect 'tcp:h:80:timeout=0'
error: timeout `0` leaves no time at all
  tcp:h:80:timeout=0
                   ^

$ netkit connect 'tcp:h:80:timeout=1e99'
error: timeout `1e99` is not a length of time
  tcp:h:80:timeout=1e99
                   ^^^^
help: a length of time is written like 30s, 250ms or 2m; a number alone is seconds

$ netkit connect 'tcp:h:80:nodelay=perhaps'
error: nodelay `perhaps` is neither yes nor no
  tcp:h:80:nodelay=perhaps
                   ^^^^^^^

$ netkit connect 'unix:'
error: the path is empty
  unix:
       ^

$ netkit connect 'unix:@'
error: an abstract name cannot be empty
  unix:@
       ^

$ netkit connect 'fd:x'
error: number `x` is not a number
  fd:x
     ^


"#]]
        .raw()
    );
    let strings = [
        "tcp:65536",
        "tcp:-1",
        "tcp:80:localhost",
        "tcp:80:[::1]",
        "tcp6:80:127.0.0.1",
        "tcp:80:backlog=0",
        "tcp:80:backlog=many",
        "unix:/a:mode=888",
        "unix:/a:mode=17777",
        "unix:/a:lockfile=2",
        "udp6:0:interface=1.2.3.4",
    ];
    assert_data_eq!(
        refusals(SERVE, &strings),
        str![[r#"
$ netkit serve echo 'tcp:65536'
error: port `65536` is not between 0 and 65535
  tcp:65536
      ^^^^^

$ netkit serve echo 'tcp:-1'
error: port `-1` is not between 0 and 65535
  tcp:-1
      ^^

$ netkit serve echo 'tcp:80:localhost'
error: interface `localhost` is not an IPv4 address
  tcp:80:localhost
         ^^^^^^^^^

$ netkit serve echo 'tcp:80:[::1]'
error: interface `::1` is an IPv6 address, an IPv4 one is needed
  tcp:80:[::1]
          ^^^

$ netkit serve echo 'tcp6:80:127.0.0.1'
error: interface `127.0.0.1` is an IPv4 address, an IPv6 one is needed
  tcp6:80:127.0.0.1
          ^^^^^^^^^

$ netkit serve echo 'tcp:80:backlog=0'
error: backlog `0` is not between 1 and 2147483647
  tcp:80:backlog=0
                 ^

$ netkit serve echo 'tcp:80:backlog=many'
error: backlog `many` is not a number
  tcp:80:backlog=many
                 ^^^^

$ netkit serve echo 'unix:/a:mode=888'
error: mode `888` is not an octal number
  unix:/a:mode=888
               ^^^
help: permissions are written like 660 or 0600

$ netkit serve echo 'unix:/a:mode=17777'
error: mode `17777` is not between 0 and 7777
  unix:/a:mode=17777
               ^^^^^

$ netkit serve echo 'unix:/a:lockfile=2'
error: lockfile `2` is neither yes nor no
  unix:/a:lockfile=2
                   ^

$ netkit serve echo 'udp6:0:interface=1.2.3.4'
error: interface `1.2.3.4` is an IPv4 address, an IPv6 one is needed
  udp6:0:interface=1.2.3.4
                   ^^^^^^^


"#]]
        .raw()
    );
}

#[test]
fn surplus() {
    assert_data_eq!(
        refusals(
            CONNECT,
            &[
                "tcp:h:80:5s:::1:x",
                "tcp:h:80:5s:127.0.0.1:more",
                "unix:/a:5:1:2",
                "fd:3:4",
                "udp:h:1:127.0.0.1:x"
            ]
        ),
        str![[r#"
$ netkit connect 'tcp:h:80:5s:::1:x'
error: too many arguments for a tcp client endpoint
  tcp:h:80:5s:::1:x
               ^
help: it is written tcp:HOST:PORT[:TIMEOUT[:BINDADDRESS]]

$ netkit connect 'tcp:h:80:5s:127.0.0.1:more'
error: too many arguments for a tcp client endpoint
  tcp:h:80:5s:127.0.0.1:more
                        ^^^^
help: it is written tcp:HOST:PORT[:TIMEOUT[:BINDADDRESS]]

$ netkit connect 'unix:/a:5:1:2'
error: too many arguments for a unix client endpoint
  unix:/a:5:1:2
              ^
help: it is written unix:PATH[:TIMEOUT[:CHECKPID]]

$ netkit connect 'fd:3:4'
error: too many arguments for an fd client endpoint
  fd:3:4
       ^
help: it is written fd:NUMBER

$ netkit connect 'udp:h:1:127.0.0.1:x'
error: too many arguments for a udp client endpoint
  udp:h:1:127.0.0.1:x
                    ^
help: it is written udp:HOST:PORT[:BINDADDRESS]


"#]]
        .raw()
    );
    assert_data_eq!(
        refusals(SERVE, &["tcp:80:0.0.0.0:50:x", "stdio:x", "fd:3:4"]),
        str![[r#"
$ netkit serve echo 'tcp:80:0.0.0.0:50:x'
error: too many arguments for a tcp server endpoint
  tcp:80:0.0.0.0:50:x
                    ^
help: it is written tcp:PORT[:INTERFACE[:BACKLOG]]

$ netkit serve echo 'stdio:x'
error: too many arguments for a stdio server endpoint
  stdio:x
        ^
help: it is written `stdio`, without arguments

$ netkit serve echo 'fd:3:4'
error: too many arguments for an fd server endpoint
  fd:3:4
       ^
help: it is written fd:NUMBER


"#]]
        .raw()
    );
}

#[test]
fn missing() {
    assert_data_eq!(
        refusals(
            CONNECT,
            &["tcp", "tcp:host=h", "tcp:port=80", "unix", "udp:h", "fd"]
        ),
        str![[r#"
$ netkit connect 'tcp'
error: a client tcp endpoint needs host and port
  tcp
     ^
help: it is written tcp:HOST:PORT[:TIMEOUT[:BINDADDRESS]]

$ netkit connect 'tcp:host=h'
error: a client tcp endpoint needs host and port
  tcp:host=h
            ^
help: it is written tcp:HOST:PORT[:TIMEOUT[:BINDADDRESS]]

$ netkit connect 'tcp:port=80'
error: tcp:port=80 is a server endpoint: a client tcp endpoint needs host and port
  tcp:port=80
             ^
help: write it as tcp:HOST:PORT[:TIMEOUT[:BINDADDRESS]]

$ netkit connect 'unix'
error: a client unix endpoint needs path
  unix
      ^
help: it is written unix:PATH[:TIMEOUT[:CHECKPID]]

$ netkit connect 'udp:h'
error: a client udp endpoint needs host and port
  udp:h
       ^
help: it is written udp:HOST:PORT[:BINDADDRESS]

$ netkit connect 'fd'
error: a client fd endpoint needs number
  fd
    ^
help: it is written fd:NUMBER


"#]]
        .raw()
    );
    assert_data_eq!(
        refusals(SERVE, &["tcp", "tcp:interface=127.0.0.1", "unix", "udp", "fd"]),
        str![[r#"
$ netkit serve echo 'tcp'
error: a server tcp endpoint needs port
  tcp
     ^
help: it is written tcp:PORT[:INTERFACE[:BACKLOG]]

$ netkit serve echo 'tcp:interface=127.0.0.1'
error: a server tcp endpoint needs port
  tcp:interface=127.0.0.1
                         ^
help: it is written tcp:PORT[:INTERFACE[:BACKLOG]]

$ netkit serve echo 'unix'
error: a server unix endpoint needs address
  unix
      ^
help: it is written unix:ADDRESS[:MODE[:BACKLOG[:LOCKFILE]]]

$ netkit serve echo 'udp'
error: a server udp endpoint needs port
  udp
     ^
help: it is written udp:PORT[:INTERFACE]

$ netkit serve echo 'fd'
error: a server fd endpoint needs number
  fd
    ^
help: it is written fd:NUMBER


"#]]
        .raw()
    );
}

#[test]
fn given_twice() {
    let strings = [
        "tcp:h:80:host=b",
        "tcp:host=a:host=b:80",
        "tcp:h:80:timeout=1:timeout=1",
        "unix:/a:path=/b",
    ];
    assert_data_eq!(
        refusals(CONNECT, &strings),
        str![[r#"
$ netkit connect 'tcp:h:80:host=b'
error: argument `host` is given twice for a tcp client endpoint
  tcp:h:80:host=b
           ^^^^
help: a value without a name gives it too, by its position

$ netkit connect 'tcp:host=a:host=b:80'
error: argument `host` is given twice for a tcp client endpoint
  tcp:host=a:host=b:80
             ^^^^

$ netkit connect 'tcp:h:80:timeout=1:timeout=1'
error: argument `timeout` is given twice for a tcp client endpoint
  tcp:h:80:timeout=1:timeout=1
                     ^^^^^^^

$ netkit connect 'unix:/a:path=/b'
error: argument `path` is given twice for a unix client endpoint
  unix:/a:path=/b
          ^^^^
help: a value without a name gives it too, by its position


"#]]
        .raw()
    );
    assert_data_eq!(
        refusals(SERVE, &["tcp:80:port=81", "unix:address=/a:path=/b"]),
        str![[r#"
$ netkit serve echo 'tcp:80:port=81'
error: argument `port` is given twice for a tcp server endpoint
  tcp:80:port=81
         ^^^^
help: a value without a name gives it too, by its position

$ netkit serve echo 'unix:address=/a:path=/b'
error: argument `path` is given twice for a unix server endpoint
  unix:address=/a:path=/b
                  ^^^^


"#]]
        .raw()
    );
}

#[test]
fn bad_escape() {
    assert_data_eq!(
        refusals(
            CONNECT,
            &["\\", r"tcp\", r"tcp:h:80\", r"unix:/a\\\", r"unix:path=\"]
        ),
        str![[r#"
$ netkit connect '\'
error: nothing follows the backslash
  \
  ^
help: a backslash itself is written `\\`

$ netkit connect 'tcp\'
error: nothing follows the backslash
  tcp\
     ^
help: a backslash itself is written `\\`

$ netkit connect 'tcp:h:80\'
error: nothing follows the backslash
  tcp:h:80\
          ^
help: a backslash itself is written `\\`

$ netkit connect 'unix:/a\\\'
error: nothing follows the backslash
  unix:/a\\\
           ^
help: a backslash itself is written `\\`

$ netkit connect 'unix:path=\'
error: nothing follows the backslash
  unix:path=\
            ^
help: a backslash itself is written `\\`


"#]]
        .raw()
    );
}

#[test]
fn unmatched_bracket() {
    let strings = [
        "tcp:[::1:80",
        "tcp:[::1]80",
        "tcp:[[::1]:80",
        "[",
        "unix:path=[a",
        "tcp:host=[::1]x:80",
        "[tcp",
    ];
    assert_data_eq!(
        refusals(CONNECT, &strings),
        str![[r#"
$ netkit connect 'tcp:[::1:80'
error: the bracket is not closed
  tcp:[::1:80
      ^
help: a bracket that is part of the text is written `\[`

$ netkit connect 'tcp:[::1]80'
error: only a colon may follow the closing bracket
  tcp:[::1]80
           ^^
help: a bracket that is part of the text is written `\[`

$ netkit connect 'tcp:[[::1]:80'
error: the bracket is not closed
  tcp:[[::1]:80
      ^
help: a bracket that is part of the text is written `\[`

$ netkit connect '['
error: the bracket is not closed
  [
  ^
help: a bracket that is part of the text is written `\[`

$ netkit connect 'unix:path=[a'
error: the bracket is not closed
  unix:path=[a
            ^
help: a bracket that is part of the text is written `\[`

$ netkit connect 'tcp:host=[::1]x:80'
error: only a colon may follow the closing bracket
  tcp:host=[::1]x:80
                ^
help: a bracket that is part of the text is written `\[`

$ netkit connect '[tcp'
error: the bracket is not closed
  [tcp
  ^
help: a bracket that is part of the text is written `\[`


"#]]
        .raw()
    );
}

#[test]
fn bare_ipv6() {
    assert_data_eq!(
        refusals(CONNECT, &["tcp:::1:80", "tcp:2001:db8::1:80", "udp:fe80::1:53"]),
        str![[r#"
$ netkit connect 'tcp:::1:80'
error: a client tcp endpoint needs host and port
  tcp:::1:80
      ^^^
help: an IPv6 address goes in brackets: tcp:[::1]:80

$ netkit connect 'tcp:2001:db8::1:80'
error: a client tcp endpoint needs host and port
  tcp:2001:db8::1:80
      ^^^^^^^^^^^
help: an IPv6 address goes in brackets: tcp:[2001:db8::1]:80

$ netkit connect 'udp:fe80::1:53'
error: a client udp endpoint needs host and port
  udp:fe80::1:53
      ^^^^^^^
help: an IPv6 address goes in brackets: udp:[fe80::1]:53


"#]]
        .raw()
    );
    assert_data_eq!(
        refusals(SERVE, &["tcp6:80:::1", "tcp6:80:interface=::1"]),
        str![[r#"
$ netkit serve echo 'tcp6:80:::1'
error: too many arguments for a tcp6 server endpoint
  tcp6:80:::1
            ^
help: an IPv6 address goes in brackets: tcp6:80:[::1]

$ netkit serve echo 'tcp6:80:interface=::1'
error: argument `interface` is given twice for a tcp6 server endpoint
  tcp6:80:interface=::1
          ^^^^^^^^^
help: an IPv6 address goes in brackets: tcp6:80:interface=[::1]


"#]]
        .raw()
    );
}

#[test]
fn role_mix_up() {
    let strings = [
        "tcp:1234",
        "tcp:1234:interface=127.0.0.1",
        "tcp6:0",
        "udp:53",
        "unix:/a:mode=600",
    ];
    assert_data_eq!(
        refusals(CONNECT, &strings),
        str![[r#"
$ netkit connect 'tcp:1234'
error: tcp:1234 is a server endpoint: a client tcp endpoint needs host and port
  tcp:1234
          ^
help: write it as tcp:HOST:PORT[:TIMEOUT[:BINDADDRESS]]

$ netkit connect 'tcp:1234:interface=127.0.0.1'
error: unknown argument `interface` for a tcp client endpoint
  tcp:1234:interface=127.0.0.1
           ^^^^^^^^^
help: `interface` is for a tcp server endpoint

$ netkit connect 'tcp6:0'
error: tcp6:0 is a server endpoint: a client tcp6 endpoint needs host and port
  tcp6:0
        ^
help: write it as tcp6:HOST:PORT[:TIMEOUT[:BINDADDRESS]]

$ netkit connect 'udp:53'
error: udp:53 is a server endpoint: a client udp endpoint needs host and port
  udp:53
        ^
help: write it as udp:HOST:PORT[:BINDADDRESS]

$ netkit connect 'unix:/a:mode=600'
error: unknown argument `mode` for a unix client endpoint
  unix:/a:mode=600
          ^^^^
help: `mode` is for a unix server endpoint


"#]]
        .raw()
    );
    let strings = [
        "tcp:localhost:1234",
        "tcp:127.0.0.1:80",
        "udp:h:53",
        "unix:/a:checkPID=1",
        "tcp:host=h:port=80",
    ];
    assert_data_eq!(
        refusals(SERVE, &strings),
        str![[r#"
$ netkit serve echo 'tcp:localhost:1234'
error: tcp:localhost:1234 is a client endpoint: a server tcp endpoint needs port
  tcp:localhost:1234
      ^^^^^^^^^
help: write it as tcp:PORT[:INTERFACE[:BACKLOG]]

$ netkit serve echo 'tcp:127.0.0.1:80'
error: tcp:127.0.0.1:80 is a client endpoint: a server tcp endpoint needs port
  tcp:127.0.0.1:80
      ^^^^^^^^^
help: write it as tcp:PORT[:INTERFACE[:BACKLOG]]

$ netkit serve echo 'udp:h:53'
error: udp:h:53 is a client endpoint: a server udp endpoint needs port
  udp:h:53
      ^
help: write it as udp:PORT[:INTERFACE]

$ netkit serve echo 'unix:/a:checkPID=1'
error: unknown argument `checkPID` for a unix server endpoint
  unix:/a:checkPID=1
          ^^^^^^^^
help: `checkPID` is for a unix client endpoint

$ netkit serve echo 'tcp:host=h:port=80'
error: unknown argument `host` for a tcp server endpoint
  tcp:host=h:port=80
      ^^^^
help: `host` is for a tcp client endpoint


"#]]
        .raw()
    );
    assert_data_eq!(
        refusals(LISTEN, &["tcp:localhost:1234"]),
        str![[r#"
$ netkit listen 'tcp:localhost:1234'
error: tcp:localhost:1234 is a client endpoint: a server tcp endpoint needs port
  tcp:localhost:1234
      ^^^^^^^^^
help: write it as tcp:PORT[:INTERFACE[:BACKLOG]]


"#]]
        .raw()
    );
}

#[test]
fn carets_stand_under_wide_and_combining_characters_and_tabs() {
    let strings = [
        "tcp:日本:x",
        "日本:h:80",
        "tcp:e\u{301}e\u{301}:x",
        "tcp:h:80:\u{301}=1",
        "tcp:👩‍👩‍👧:x",
        "tcp:h\t:80",
        "tcp:h:8\t0",
        "tcp:h:8\n0",
        "tcp:h:\u{202e}80",
        "tcp:h:80:naïve=1",
    ];
    assert_data_eq!(
        refusals(CONNECT, &strings),
        str![[r#"
$ netkit connect 'tcp:日本:x'
error: port `x` is not a number
  tcp:日本:x
           ^

$ netkit connect '日本:h:80'
error: unknown endpoint type `日本`
  日本:h:80
  ^^^^

$ netkit connect 'tcp:éé:x'
error: port `x` is not a number
  tcp:éé:x
         ^

$ netkit connect 'tcp:h:80:́=1'
error: unknown argument `́` for a tcp client endpoint
  tcp:h:80:́=1
          ^
help: it takes host, port, timeout, bindAddress, keepalive and nodelay

$ netkit connect 'tcp:👩‍👩‍👧:x'
error: host `👩‍👩‍👧` is not a host name
  tcp:👩‍👩‍👧:x
      ^^^^^^
help: a name outside ASCII must have a form that begins with `xn--`

$ netkit connect 'tcp:h\u{9}:80'
error: host `h␉` is not a host name: `␉` is no part of one
  tcp:h␉:80
      ^^

$ netkit connect 'tcp:h:8\u{9}0'
error: port `8␉0` is not a number
  tcp:h:8␉0
        ^^^

$ netkit connect 'tcp:h:8\u{a}0'
error: port `8␊0` is not a number
  tcp:h:8␊0
        ^^^

$ netkit connect 'tcp:h:\u{202e}80'
error: port `�80` is not a number
  tcp:h:�80
        ^^^

$ netkit connect 'tcp:h:80:naïve=1'
error: unknown argument `naïve` for a tcp client endpoint
  tcp:h:80:naïve=1
           ^^^^^
help: it takes host, port, timeout, bindAddress, keepalive and nodelay


"#]]
        .raw()
    );
}

#[test]
fn a_very_long_string_is_cut_around_what_is_wrong() {
    let long = "a".repeat(10_000);
    for endpoint in [
        format!("tcp:{long}:80"),
        format!("{long}:h:80"),
        format!("tcp:h:{long}"),
        format!("tcp:h:80:{long}=1"),
        format!("unix:/{long}:5s:no:x"),
        format!("tcp:{}", "x:".repeat(5_000)),
        format!("unix:/{}:[", "日".repeat(3_000)),
        "[".repeat(10_000),
        format!("unix:{}", "\\".repeat(10_001)),
        format!("unix:{}\t", "\t".repeat(10_000)) + ":x",
    ] {
        let outcome = refused(CONNECT, OsStr::new(&endpoint));
        for line in outcome.stderr.lines() {
            assert!(line.width() <= 200, "{} columns: {line}", line.width());
        }
        let picture = outcome.stderr.lines().nth(1).unwrap();
        assert!(picture.width() <= 102 && picture.contains('…'), "{picture}");
    }
    assert_data_eq!(
        refusals(
            CONNECT,
            &[&format!("tcp:h:80:{}=1:{}", "x".repeat(300), "y".repeat(9_700))]
        )
        .split_once('\n')
        .unwrap()
        .1,
        str![[r#"
error: unknown argument `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` for a tcp client endpoint
  tcp:h:80:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
help: it takes host, port, timeout, bindAddress, keepalive and nodelay


"#]].raw()
    );
}

#[test]
fn bytes_that_are_no_text() {
    let mut text = String::new();
    for bytes in [
        b"tcp:\xff:80".as_slice(),
        b"\xff",
        b"tcp:h:\xc3",
        b"unix:/a\xed\xa0\x80",
    ] {
        let outcome = refused(CONNECT, OsStr::from_bytes(bytes));
        writeln!(
            text,
            "$ netkit connect {}\n{}",
            bytes.escape_ascii(),
            outcome.stderr
        )
        .unwrap();
    }
    assert_data_eq!(
        text,
        str![[r#"
$ netkit connect tcp:\xff:80
error: an endpoint string is UTF-8 text
  tcp:�:80
      ^

$ netkit connect \xff
error: an endpoint string is UTF-8 text
  �
  ^

$ netkit connect tcp:h:\xc3
error: an endpoint string is UTF-8 text
  tcp:h:�
        ^

$ netkit connect unix:/a\xed\xa0\x80
error: an endpoint string is UTF-8 text
  unix:/a���
         ^


"#]]
        .raw()
    );
}

#[test]
fn every_verb_says_the_same() {
    let reason = refused(SERVE, OsStr::new("tcp:prot=1234")).stderr;
    assert_eq!(
        reason,
        "error: unknown argument `prot` for a tcp server endpoint\n  tcp:prot=1234\n      ^^^^\nhelp: did you mean `port`?\n"
    );
    assert_eq!(refused(LISTEN, OsStr::new("tcp:prot=1234")).stderr, reason);
}

#[test]
fn of_several_endpoints_the_bad_one_is_shown() {
    let outcome = netkit(["serve", "echo", "tcp:0", "udp:x", "tcp:0"])
        .run()
        .status(2);
    assert_data_eq!(
        outcome.stderr,
        str![[r#"
error: port `x` is not a number
  udp:x
      ^

"#]]
        .raw()
    );
}

#[test]
fn bad_flags_are_usage_errors() {
    for args in [
        &["serve", "ehco", "tcp:0"][..],
        &["serve", "echo"],
        &["connect"],
        &["connect", "tcp:h:80", "tcp:h:81"],
        &["connect", "tcp:h:80", "--timeout", "0"],
        &["connect", "tcp:h:80", "--timeout", "soon"],
        &["connect", "tcp:h:80", "--half-close-timeout", "-1"],
        &["serve", "echo", "tcp:0", "--max-connections", "0"],
        &["serve", "echo", "tcp:0", "--workers", "0"],
        &["serve", "echo", "tcp:0", "--quote", "x"],
        &["serve", "qotd", "tcp:0", "--quote", &"x".repeat(600)],
        &["serve", "echo", "tcp:0", "-q", "-v"],
        &["completions", "tcsh"],
        &["frobnicate"],
        &[],
    ] {
        let outcome = netkit(args).run().status(2).wrote("");
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("listening"), "{}", outcome.stderr);
        assert!(
            args.is_empty() || outcome.stderr.starts_with("error: "),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [
        &["--help"][..],
        &["-h"],
        &["serve", "--help"],
        &["connect", "--help"],
        &["listen", "-h"],
        &["--version"],
    ] {
        let outcome = netkit(args).run().status(0).said("");
        assert!(!outcome.stdout.is_empty());
    }
    let help = netkit(["--help"]).run().text();
    for line in ["Exit status:", "  130  interrupted", "  7    could not bind"] {
        assert!(help.contains(line), "no `{line}` in:\n{help}");
    }
}

#[test]
fn help_that_cannot_be_written_is_an_error() {
    for args in [&["--help"][..], &["help", "serve"], &["--version"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        netkit(args)
            .stdout(full)
            .run()
            .status(1)
            .said("error: could not write standard output: no space left on the device\n");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        netkit(args).stdout(writer).run().status(0).said("");
    }
}

#[test]
fn a_file_of_commands_that_is_wrong_is_shown_at_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let before = format!("cd '{}'", directory.path().display());
    let mut text = String::new();
    for file in [
        "greeting = \"hi\n",
        "greting = 'hi'\n",
        "unknown = 5\n",
        "[[comand]]\n",
        "[command]\nexact = 'a'\n",
        "[[command]]\nexact = 'a'\nexact = 'b'\n",
        "[[command]]\nexact = 'a'\nreplay = 'b'\n",
        "[[command]]\nexact = 'a'\nprefix = 'b'\n",
        "[[command]]\nreply = 'a'\n",
        "# two\n[[command]]\nregex = '^(\\d+'\nreply = '$1'\n",
        "[[command]]\nregex = '^(\\d+)'\nreply = 'costs $2'\n",
        "[[command]]\nexact = 'a'\nreply = '5 $'\n",
        "[[command]]\nprefix = 'a'\nreply = 'a'\n\n[[command]]\nexact = 'ab'\nreply = 'b'\n",
        "[[command]]\nexact = 'a'\n",
    ] {
        std::fs::write(directory.path().join("c.toml"), file).unwrap();
        let args = ["serve", "lines", "tcp:0", "--commands", "c.toml"];
        let outcome = crate::harness::netkit_after(&before, "", args)
            .run()
            .status(2)
            .wrote("");
        writeln!(text, "{}", outcome.stderr).unwrap();
    }
    assert_data_eq!(text, str![[r#"
error: could not set up lines: c.toml, line 1: invalid basic string, expected `"`
  greeting = "hi
                ^

error: could not set up lines: c.toml, line 1: unknown key `greting`
  greting = 'hi'
  ^^^^^^^
help: did you mean `greeting`?

error: could not set up lines: c.toml, line 1: `unknown` is a text in quotation marks
  unknown = 5
            ^

error: could not set up lines: c.toml, line 1: unknown key `comand`
  [[comand]]
    ^^^^^^
help: did you mean `command`?

error: could not set up lines: c.toml, line 1: a command is a table of its own
  [command]
  ^^^^^^^^^
help: write `[[command]]` above each

error: could not set up lines: c.toml, line 3: duplicate key
  exact = 'b'
  ^^^^^

error: could not set up lines: c.toml, line 3: unknown key `replay`
  replay = 'b'
  ^^^^^^
help: did you mean `reply`?

error: could not set up lines: c.toml, line 3: a command has one of `exact`, `prefix` and `regex`
  prefix = 'b'
           ^^^

error: could not set up lines: c.toml, line 1: a command needs `exact`, `prefix` or `regex`
  [[command]]
  ^^^^^^^^^^^

error: could not set up lines: c.toml, line 3: not a regular expression: unclosed group
  regex = '^(\d+'
          ^^^^^^^

error: could not set up lines: c.toml, line 3: there is no `$2` here
  reply = 'costs $2'
          ^^^^^^^^^^
help: `$1` stands for a part of the line, `$$` for a dollar sign

error: could not set up lines: c.toml, line 3: a `$` of its own is written `$$`
  reply = '5 $'
          ^^^^^
help: `$1` stands for a part of the line, `$$` for a dollar sign

error: could not set up lines: c.toml, line 6: this command is never reached: the one of line 2 takes all its lines
  exact = 'ab'
          ^^^^
help: the first command that fits is meant, so the narrower one comes first

error: could not set up lines: c.toml, line 2: this command does nothing: it needs `reply`, `append` or `close = true`
  exact = 'a'
          ^^^


"#]].raw());
}
