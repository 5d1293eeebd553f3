//! `explain`: what a string means in each role, as text and as data, with nothing opened.
//! Absent: the pictures of strings that mean nothing, which are in `errors`.

use serde_json::{Value, json};
use snapbox::{IntoData as _, assert_data_eq, str};

use crate::harness::{Outcome, netkit};

fn explain(endpoint: &str) -> Outcome {
    netkit(["explain", endpoint]).run()
}

fn as_json(endpoint: &str, status: i32) -> Value {
    let outcome = netkit(["explain", "--json", endpoint]).run().status(status);
    serde_json::from_slice(&outcome.stdout).unwrap()
}

#[test]
fn a_client_string_is_shown_with_every_field() {
    let outcome = explain("TCP:port=80:example.com:timeout=5").status(0).said("");
    assert_data_eq!(
        outcome.text(),
        str![[r#"
client endpoint tcp:port=80:example.com:timeout=5
  tcp: TCP; a client tries both address families, a server takes IPv4
    host         example.com  given    name or address; an IPv6 address goes in brackets
    port         80           given    port, 1 to 65535
    timeout      5            given    limit on resolving and connecting together
    bindAddress  -            not set  local name or address to leave from
    keepalive    -            not set  idle time after which the kernel probes the peer
    nodelay      yes          default  send small writes at once (TCP_NODELAY)

not a server endpoint: unknown argument `timeout` for a tcp server endpoint

"#]]
        .raw()
    );
}

#[test]
fn a_server_string_is_shown_with_every_field() {
    let outcome = explain("unix:/run/echo.sock:mode=600").status(0).said("");
    assert_data_eq!(
        outcome.text(),
        str![[r#"
not a client endpoint: unknown argument `mode` for a unix client endpoint

server endpoint unix:/run/echo.sock:mode=600
  unix: a UNIX socket; @NAME is a Linux abstract name
    address   /run/echo.sock  given    path of the socket; @NAME is a Linux abstract name
    mode      600             given    permissions of the socket, in octal
    backlog   1024            default  connections that wait to be accepted
    lockfile  yes             default  keep a lock, PATH.lock, beside the socket

"#]]
        .raw()
    );
}

#[test]
fn a_server_string_alone_says_why_it_is_no_client() {
    let outcome = explain("tcp6:0:v6only=yes").status(0).said("");
    assert_data_eq!(
        outcome.text(),
        str![[r#"
not a client endpoint: unknown argument `v6only` for a tcp6 client endpoint

server endpoint tcp6:0:v6only=yes
  tcp6: TCP on IPv6; a server takes IPv4 clients too, unless v6only=yes
    port       0     given    port; 0: the system picks one
    interface  ::    default  IPv6 address to bind
    backlog    1024  default  connections that wait to be accepted
    v6only     yes   given    take no IPv4 clients

"#]]
        .raw()
    );
}

#[test]
fn a_string_of_no_role_is_an_error() {
    let outcome = explain("tcp:x:y:z").status(2).wrote("");
    assert!(outcome.stderr.starts_with("error: "));
    explain("gopher:1")
        .status(2)
        .wrote("")
        .mentions("error: unknown endpoint type `gopher`\n");
}

#[test]
fn json_holds_the_same() {
    let value = as_json("tcp:[::1]:80:timeout=250ms", 0);
    let client = &value["client"];
    assert_eq!(client["valid"], true);
    assert_eq!(client["canonical"], "tcp:[::1]:80:timeout=250ms");
    let layer = &client["layers"][0];
    assert_eq!(layer["type"], "tcp");
    assert_eq!(layer["fields"]["host"], json!({"value": "::1", "given": true}));
    assert_eq!(
        layer["fields"]["timeout"],
        json!({"value": "250ms", "given": true})
    );
    assert_eq!(
        layer["fields"]["nodelay"],
        json!({"value": "yes", "given": false})
    );
    assert_eq!(
        layer["fields"]["bindAddress"],
        json!({"value": null, "given": false})
    );
    let server = &value["server"];
    assert_eq!(server["valid"], false);
    assert!(server["message"].is_string() && server["kind"].is_string());
}

#[test]
fn json_points_at_what_is_wrong() {
    let value = as_json("tcp:prot=1234", 2);
    for role in ["client", "server"] {
        assert_eq!(value[role]["valid"], false);
        assert_eq!(value[role]["kind"], "unknown-argument");
        assert_eq!(value[role]["span"], json!([4, 8]));
        assert_eq!(value[role]["help"], "did you mean `port`?");
    }
}

#[test]
fn the_canonical_spelling_means_the_same() {
    for endpoint in [
        r"tcp:a\.b:80",
        r"tcp:ho\st:80",
        "tcp:port=80:host=h",
        "UNIX:@a[b",
        r"unix:/a\:b\=c",
        "unix:[/a:b=c]",
        r"unix:path=/a\\b",
        "udp:[::1]:53",
    ] {
        let first = as_json(endpoint, 0);
        let canonical = first["client"]["canonical"].as_str().unwrap();
        let second = as_json(canonical, 0);
        assert_eq!(first["client"], second["client"], "{endpoint} and {canonical}");
    }
}

#[test]
fn nothing_is_opened() {
    // A path that cannot be, a name that does not exist, a descriptor that is not open.
    for endpoint in [
        "unix:/nonexistent/socket",
        "tcp:nobody.invalid:80",
        "fd:77",
        "tcp:1:192.0.2.1",
    ] {
        explain(endpoint).status(0).said("");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    netkit(["explain", "tcp:80"])
        .stdout(writer)
        .run()
        .status(0)
        .said("");
}
