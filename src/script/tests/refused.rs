//! Every bad input, with its carets.
//! Absent: files.

use std::path::Path;

use snapbox::{IntoData as _, assert_data_eq, str};

use super::{Script, shown};
use crate::script::Kind;

fn kinds(text: &str) -> Vec<(Kind, usize)> {
    let refusals = Script::parse(Path::new("t.netkit"), text).unwrap_err();
    refusals
        .iter()
        .map(|refusal| (refusal.kind, refusal.line))
        .collect()
}

/// What each of these lines is answered with.
fn answers(lines: &[&str]) -> String {
    let answer = |line: &&str| match Script::parse(Path::new("t.netkit"), line) {
        Ok(_) => panic!("{line} is taken"),
        Err(refusals) => shown(refusals),
    };
    lines.iter().map(answer).collect()
}

#[test]
fn words() {
    assert_data_eq!(
        answers(&[
            "strat lines: serve lines tcp:0",
            "alice expect \"x\"",
            "alice",
            "frobnicate the server",
            "connect alice $lines",
            "connect alice",
            "connect end to tcp:h:1",
            "connect al-ice to tcp:h:1",
            "start lines serve lines tcp:0",
            "start lines: connect tcp:h:1",
            "start lines: srve echo tcp:0",
            "start lines:",
            "stop lines now",
            "  alice expects clsoe",
            "alice expects hello",
            "alice expects tls alert unknown_cs",
            "sleep 5 minutes",
            "sleep fast",
            "sleep 0s",
            "sleep 2d",
            "sleep 50ms within 1s",
            "repeat 0 times",
            "repeat 99999 times",
            "repeat three times",
            "a exits with status 256",
            "limit 2s each, 5s each",
            "set X to a free prot",
            "check $a matches \"b\"",
            "a expects silence",
        ]),
        str![[r#"
1: unknown step `strat`
  strat lines: serve lines tcp:0
  ^^^^^
help: did you mean `start`?
1: unknown word `expect`
  alice expect "x"
        ^^^^^^
help: did you mean `expects`?
1: unknown step `alice`
  alice
  ^^^^^
help: a line begins with a step, or with a name and `sends`, `expects`, `ends`, `closes`, `resets` or `exits`
1: unknown step `frobnicate`
  frobnicate the server
  ^^^^^^^^^^
help: a line begins with a step, or with a name and `sends`, `expects`, `ends`, `closes`, `resets` or `exits`
1: expected `to`, not `$lines`
  connect alice $lines
                ^^^^^^
1: `to` is missing
  connect alice
               ^
1: `end` is a word of the language
  connect end to tcp:h:1
          ^^^
help: call it something else
1: `al-ice` is not a name
  connect al-ice to tcp:h:1
          ^^^^^^
help: a name is made of letters, digits and `_`, a letter first
1: a colon is missing
  start lines serve lines tcp:0
              ^^^^^
help: it reads `start NAME: serve ...`
1: only `serve` and `relay` can be started
  start lines: connect tcp:h:1
               ^^^^^^^
help: `launch` runs every other program
1: only `serve` and `relay` can be started
  start lines: srve echo tcp:0
               ^^^^
help: did you mean `serve`?
1: the verb is missing
  start lines:
              ^
1: nothing is expected here, not `now`
  stop lines now
             ^^^
1: `clsoe` cannot be expected
  alice expects clsoe
                ^^^^^
help: did you mean `close`?
1: `hello` cannot be expected
  alice expects hello
                ^^^^^
help: a text stands in double quotes, a regex between slashes
1: unknown alert `unknown_cs`
  alice expects tls alert unknown_cs
                          ^^^^^^^^^^
help: did you mean `unknown_ca`?
1: nothing is expected here, not `minutes`
  sleep 5 minutes
          ^^^^^^^
1: `fast` is not a time
  sleep fast
        ^^^^
help: a time is written 250ms, 5s, 2m or 1h
1: a time of nothing
  sleep 0s
        ^^
help: a time is written 250ms, 5s, 2m or 1h
1: `2d` is out of range: at most 24h
  sleep 2d
        ^^
help: a time is written 250ms, 5s, 2m or 1h
1: this step waits for nothing that a limit could end
  sleep 50ms within 1s
             ^^^^^^^^^
1: `0` is out of range: the number of times is 1 to 10000
  repeat 0 times
         ^
1: `99999` is out of range: the number of times is 1 to 10000
  repeat 99999 times
         ^^^^^
1: `three` is not a number
  repeat three times
         ^^^^^
1: `256` is out of range: a status is 0 to 255
  a exits with status 256
                      ^^^
1: this limit is given twice
  limit 2s each, 5s each
                 ^^^^^^^
1: expected `port`, not `prot`
  set X to a free prot
                  ^^^^
1: `"b"` is not a regex
  check $a matches "b"
                   ^^^
help: a regex stands between slashes
1: `for` is missing
  a expects silence
                   ^

"#]]
        .raw()
    );
}

#[test]
fn texts() {
    assert_data_eq!(
        answers(&[
            "set X to \"abc",
            "set X to \"a\\q\"",
            "set X to \"a\\x4\"",
            "set X to \"\\$5\"",
            "set X to \"5$\"",
            "set X to \"${a\"",
            "set X to \"$a.b.c\"",
            "set X to \"$TMP.x\"",
            "set X to $env",
            "set X to hello",
            "set X to \"a\"b",
            "set X to $a/b",
            "a sends hex 0",
            "a sends hex zz",
            "a sends hex",
            "a expects /a(/",
            "a expects /a",
            "a expects /a/b/",
            "a expects /a{1000000}/",
            "a expects /${}/",
            "launch a: 'x",
            "set X to \"日本\" 語",
        ]),
        str![[r#"
1: the quote is not closed
  set X to "abc
           ^
1: unknown escape `\q`
  set X to "a\q"
             ^^
help: the escapes are \r \n \t \0 \\ \" and \xHH
1: `\x` needs two hexadecimal digits
  set X to "a\x4"
             ^^^
help: the escapes are \r \n \t \0 \\ \" and \xHH
1: unknown escape `\$`
  set X to "\$5"
            ^^
help: a dollar sign is written `$$`
1: no variable follows the dollar sign
  set X to "5$"
             ^
help: a dollar sign is written `$$`
1: the braces do not hold a variable
  set X to "${a"
            ^
help: a dollar sign is written `$$`
1: nothing has `.b.c`
  set X to "$a.b.c"
            ^^^^^^
help: if the dot belongs to the text, write `${a}.b.c`
1: `$TMP` has no parts
  set X to "$TMP.x"
            ^^^^^^
help: if the dot belongs to the text, write `${TMP}.x`
1: `$env` wants a name
  set X to $env
           ^^^^
help: for example `$env.HOME`
1: `hello` is not a text
  set X to hello
           ^^^^^
help: a text stands in double quotes, a variable has a dollar: `$hello`
1: `b` follows without a space
  set X to "a"b
              ^
1: `/b` follows without a space
  set X to $a/b
             ^^
help: a text with a variable in it stands in quotes
1: `0` is not bytes in hexadecimal
  a sends hex 0
              ^
help: each byte is two digits, as in 0d 0a
1: `zz` is not bytes in hexadecimal
  a sends hex zz
              ^^
help: each byte is two digits, as in 0d 0a
1: the bytes are missing
  a sends hex
             ^
help: each byte is two hexadecimal digits, as in 0d 0a
1: unclosed group
  a expects /a(/
            ^^^^
1: the regex is not closed
  a expects /a
            ^
help: a slash in a regex is written `\/`
1: `b/` follows without a space
  a expects /a/b/
               ^^
help: a slash in a regex is written `\/`
1: the regex grows too large
  a expects /a{1000000}/
            ^^^^^^^^^^^^
1: the braces do not hold a variable
  a expects /${}/
             ^^^
help: a dollar sign is written `$$`
1: the quote is not closed
  launch a: 'x
            ^
1: nothing is expected here, not `語`
  set X to "日本" 語
                  ^^

"#]]
        .raw()
    );
}

#[test]
fn blocks() {
    for (text, kind, line) in [
        ("repeat 2 times\nsleep 1s\n", Kind::UnmatchedBlock, 1),
        ("sleep 1s\nend", Kind::UnmatchedBlock, 2),
        ("and", Kind::UnmatchedBlock, 1),
        (
            "repeat 2 times\nsleep 1s\nand\nsleep 1s\nend",
            Kind::UnmatchedBlock,
            3,
        ),
        ("repeat 2 times\nend", Kind::EmptyBlock, 1),
        ("parallel\nsleep 1s\nend", Kind::EmptyBlock, 1),
        ("parallel\nsleep 1s\nand\nend", Kind::EmptyBlock, 3),
        ("parallel\nand\nsleep 1s\nend", Kind::EmptyBlock, 1),
        ("sleep 1s\nlimit 1s each", Kind::MisplacedLimit, 2),
        ("limit 1s each\nlimit 1s in all", Kind::MisplacedLimit, 2),
    ] {
        assert_eq!(kinds(text), [(kind, line)], "{text}");
    }
    let deep = format!(
        "{}sleep 1s\n{}",
        "repeat 1 times\n".repeat(20),
        "end\n".repeat(20)
    );
    assert_eq!(kinds(&deep), [(Kind::TooMuch, 9)]);
    let wide = format!("parallel\n{}sleep 1s\nend", "sleep 1s\nand\n".repeat(16));
    assert_eq!(kinds(&wide), [(Kind::TooMuch, 33)]);
    // Far deeper than any stack.
    let abyss = "parallel\n".repeat(100_000);
    assert_eq!(kinds(&abyss)[0].0, Kind::UnmatchedBlock);
    let closed = format!("{}{}", "repeat 1 times\n".repeat(30_000), "end\n".repeat(30_000));
    assert_eq!(kinds(&closed)[0].0, Kind::TooMuch);
}

#[test]
fn several_are_told_at_once() {
    let text = "strat a\nrepeat x times\nsleep 1s\nend\nsleep\nset X to $y\n";
    assert_eq!(
        kinds(text),
        [(Kind::UnknownStep, 1), (Kind::BadNumber, 2), (Kind::Missing, 5)]
    );
    let many = "what\n".repeat(1000);
    assert_eq!(kinds(&many).len(), crate::script::REFUSALS_MAX);
    let many = "set X to $nothing\n".repeat(1000);
    assert_eq!(kinds(&many).len(), crate::script::REFUSALS_MAX);
}

#[test]
fn names() {
    let with = |lines: &str| format!("listen door on tcp:0\nconnect alice to $door\nset X to \"x\"\n{lines}");
    let all: String = [
        "alcie sends \"x\"",
        "bob sends \"x\"",
        "door sends \"x\"",
        "stop door",
        "accept bob on dor",
        "set Y to $Z",
        "set Y to $dor",
        "set Y to $alice",
        "set Y to $alice.port",
        "set Y to \"$X.port\"",
        "set Y to $door.peer",
        "set Y to $PATH",
        "set Y to $env.NETKIT_SURELY_NOT_SET",
        "set alice to \"x\"",
        "alice expects /(?<door>x)/",
        "alice expects /(?<end>x)/",
        "check $X does not match /(?<y>x)/",
        "alice expects \"\"",
        "alice expects line \"a\\r\\n\"",
        "connect eve to $door fails\neve sends \"x\"",
        "parallel\nset Y to \"x\"\nand\nset Z to $Y\nend",
        "parallel\nset Y to \"x\"\nand\nset Y to \"y\"\nend",
        "connect bob to tcp:127.0.0.1:prot=5",
        "connect bob to \"tpc:127.0.0.1:5\"",
        "connect bob to \"tcp:\\x31:pro=5\"",
        "wait for tcp:1234",
        "listen other on stdio:",
        "alice sends file \"/nowhere/x\"",
        "alice sends file \"$DIR\"",
        "launch a: netkit-surely-no-program",
        "launch a: /bin/sh \"\\0\"",
    ]
    .iter()
    .map(|lines| {
        let refusals = Script::parse(Path::new("t.netkit"), &with(lines)).err();
        shown(refusals.unwrap_or_else(|| panic!("{lines} is taken")))
    })
    .collect();
    let here = std::env::current_dir().unwrap();
    assert_data_eq!(
        all.replace(here.to_str().unwrap(), "[HERE]"),
        str![[r#"
4: no connection is called `alcie` yet
  alcie sends "x"
  ^^^^^
help: did you mean `alice`?
4: no connection is called `bob` yet
  bob sends "x"
  ^^^
help: `connect NAME to ENDPOINT` and `accept NAME on DOOR` make connections
4: `door` is a door, not a connection
  door sends "x"
  ^^^^
help: `connect NAME to ENDPOINT` and `accept NAME on DOOR` make connections
4: `door` is a door, not a part
  stop door
       ^^^^
help: `start` and `launch` make parts
4: no door is called `dor` yet
  accept bob on dor
                ^^^
help: did you mean `door`?
4: `$Z` is not set yet
  set Y to $Z
           ^^
help: `set`, and groups with names in a regex that came before, make variables
4: `$dor` is not set yet
  set Y to $dor
           ^^^^
help: did you mean `$door`?
4: `alice` is a connection, which has no value of its own
  set Y to $alice
           ^^^^^^
help: what is known of it is called `$alice.peer` and the like
4: `alice` is a connection, which has no `.port`
  set Y to $alice.port
           ^^^^^^^^^^^
help: for example `$alice.peer.port`
4: `X` is a variable, which has no `.port`
  set Y to "$X.port"
            ^^^^^^^
help: if the dot belongs to the text, write `${X}.port`
4: `door` is a door, which has no `.peer`
  set Y to $door.peer
           ^^^^^^^^^^
help: it has `$door.host`, `$door.port`, and `$door.1` for its first endpoint
4: `$PATH` is not set yet
  set Y to $PATH
           ^^^^^
help: the environment's is called `$env.PATH`
4: `NETKIT_SURELY_NOT_SET` is not in the environment
  set Y to $env.NETKIT_SURELY_NOT_SET
           ^^^^^^^^^^^^^^^^^^^^^^^^^^
4: `alice` is a connection already
  set alice to "x"
      ^^^^^
help: give a variable another name
4: `door` is a door already
  alice expects /(?<door>x)/
                ^^^^^^^^^^^^
help: give a variable another name
4: `end` is a word of the language
  alice expects /(?<end>x)/
                ^^^^^^^^^^^
help: call the group something else
4: the group `y` never becomes a variable here
  check $X does not match /(?<y>x)/
                          ^^^^^^^^^
help: a group without a name is written `(?:...)`
4: an empty text is always there
  alice expects ""
                ^^
help: an empty line is expected with `line ""`, the end with `close`
4: no line has a line end in it
  alice expects line "a\r\n"
                     ^^^^^^^
help: `line` stands for a text without its end
5: no connection is called `eve` yet
  eve sends "x"
  ^^^
help: `connect NAME to ENDPOINT` and `accept NAME on DOOR` make connections
7: `$Y` is not set yet
  set Z to $Y
           ^^
help: `set`, and groups with names in a regex that came before, make variables
7: `Y` is made in another branch as well
  set Y to "y"
      ^
help: give it another name here
4: unknown argument `prot` for a tcp client endpoint
  connect bob to tcp:127.0.0.1:prot=5
                               ^^^^
help: did you mean `port`?
4: unknown endpoint type `tpc`
  connect bob to "tpc:127.0.0.1:5"
                  ^^^
help: did you mean `tcp`?
4: unknown argument `pro` for a tcp client endpoint
  connect bob to "tcp:\x31:pro=5"
                 ^^^^^^^^^^^^^^^^
help: it takes host, port, timeout, bindAddress, keepalive and nodelay
4: tcp:1234 is a server endpoint: a client tcp endpoint needs host and port
  wait for tcp:1234
                   ^
help: write it as tcp:HOST:PORT[:TIMEOUT[:BINDADDRESS]]
4: a script has no `stdio` endpoint of its own
  listen other on stdio:
                  ^^^^^^
4: could not read /nowhere/x: no such file or directory
  alice sends file "/nowhere/x"
                   ^^^^^^^^^^^^
4: could not read [HERE]: it is a directory, not a file
  alice sends file "$DIR"
                   ^^^^^^
4: there is no program `netkit-surely-no-program`
  launch a: netkit-surely-no-program
            ^^^^^^^^^^^^^^^^^^^^^^^^
4: an argument of a program holds no NUL
  launch a: /bin/sh "\0"
                    ^^^^

"#]]
        .raw()
    );
}

#[test]
fn a_script_without_a_step_has_nothing_to_play() {
    for text in ["", "# later\n", "limit 2s each\n"] {
        assert_eq!(kinds(text), [(Kind::Missing, 1)], "{text}");
    }
}

#[test]
fn what_stands_in_the_wrong_place_is_told_where_it_belongs() {
    assert_data_eq!(
        answers(&[
            "start e: serve echo tcp:0 within 2s",
            "sleep -1s",
            "launch x: ./Cargo.toml"
        ]),
        str![[r#"
1: `within` stands before the colon
  start e: serve echo tcp:0 within 2s
                            ^^^^^^^^^
help: it reads `start e within 2s: ...`
1: `-1s` is less than nothing
  sleep -1s
        ^^^
help: a time is written 250ms, 5s, 2m or 1h
1: `./Cargo.toml` is looked for in $TMP, where parts run
  launch x: ./Cargo.toml
            ^^^^^^^^^^^^
help: the one beside the script is `$DIR/Cargo.toml`; one that a part makes is `$TMP/Cargo.toml`

"#]]
        .raw()
    );
    // It may be an argument of a program.
    Script::parse(Path::new("t.netkit"), "launch x: /bin/true within 2s").unwrap();
    // Another part may make it.
    Script::parse(Path::new("t.netkit"), "launch x: ./made-by-another-part").unwrap();
    Script::parse(Path::new("t.netkit"), "launch x: $TMP/Cargo.toml").unwrap();
}
