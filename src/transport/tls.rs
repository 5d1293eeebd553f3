//! The `tls` endpoint: TCP, or any client endpoint, with TLS on it.
//! Absent: handshakes, certificates, and reading any file while a string is read.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::secured::{
    Below, PASSPHRASE_FILE, SecureClient, SecureServer, TIMEOUT, client_identity, needs, passphrases,
    verified_name,
};
use super::socket::{Family, Listen, Options, Target};
use super::{Binder, ClientRole, Connector, ServerRole, Transport};
use crate::cert::Pin;
use crate::diagnostic::quoted;
use crate::endpoint::{Args, Kind, Param, Refused, ValueKind};
use crate::layer::tls::config::{
    ClientAuth, ClientSettings, KeyFiles, ServerSettings, Source, Trust, Version, Versions,
};

const CLIENT: &[Param] = &[
    Param::required(
        "host",
        ValueKind::Host,
        "name or address to verify, and to connect to",
    ),
    Param::required("port", ValueKind::Port { zero_ok: false }, "port, 1 to 65535"),
    Param::optional(
        "timeout",
        ValueKind::Duration { zero_ok: false },
        "30s",
        "limit on resolving, connecting and the handshake together",
    ),
    Param::absent(
        "bindAddress",
        ValueKind::Host,
        "local name or address to leave from",
    ),
    Param::absent(
        "certificate",
        ValueKind::Path,
        "PEM with our certificate, and the key unless privateKey names it",
    ),
    Param::absent(
        "privateKey",
        ValueKind::Path,
        "PEM with the key of our certificate",
    ),
    Param::absent(
        "trustRoots",
        ValueKind::Path,
        "PEM file, or directory of *.pem, to trust instead of the platform's roots",
    ),
    Param::absent(
        "endpoint",
        ValueKind::Endpoint,
        "client endpoint to speak TLS on, instead of TCP to the host",
    ),
    Param::absent(
        "serverName",
        ValueKind::Host,
        "name to verify and to ask for instead of the host",
    )
    .by_name(),
    ALPN,
    MIN_VERSION,
    MAX_VERSION,
    Param::absent(
        "pin",
        ValueKind::List,
        "sha256/BASE64 of public keys to trust, whatever the certificate says",
    )
    .by_name(),
    PASSPHRASE_FILE,
    Param::optional(
        "insecure",
        ValueKind::Flag,
        "no",
        "trust anybody: verify nothing at all",
    )
    .by_name(),
];

const SERVER: &[Param] = &[
    Param::required(
        "port",
        ValueKind::Port { zero_ok: true },
        "port; 0: the system picks one",
    ),
    Param::absent(
        "privateKey",
        ValueKind::Path,
        "PEM with the key, and the certificate unless certKey names it; without a key: netkit's own certificate",
    ),
    Param::absent(
        "certKey",
        ValueKind::Path,
        "PEM with the certificate and what vouches for it",
    ),
    Param::absent(
        "interface",
        ValueKind::Address,
        "address to bind; without it both families",
    ),
    Param::optional(
        "backlog",
        super::socket::BACKLOG,
        "1024",
        "connections that wait to be accepted",
    ),
    Param::absent(
        "extraCertChain",
        ValueKind::Path,
        "PEM with more certificates to send",
    )
    .by_name(),
    Param::absent(
        "clientCA",
        ValueKind::Path,
        "PEM file, or directory of *.pem: whose client certificates are taken",
    )
    .by_name(),
    Param::absent(
        "clientAuth",
        ValueKind::Choice(&["require", "optional"]),
        "whether clients need a certificate; require, where clientCA is given",
    )
    .by_name(),
    Param::absent(
        "certDir",
        ValueKind::Path,
        "directory of *.pem, each with a key and its certificate, chosen by server name",
    )
    .by_name(),
    ALPN,
    MIN_VERSION,
    MAX_VERSION,
    PASSPHRASE_FILE,
];

const ALPN: Param = Param::absent(
    "alpn",
    ValueKind::List,
    "application protocols, the preferred one first",
)
.by_name();
const VERSION: ValueKind = ValueKind::Choice(&["1.2", "1.3"]);
const MIN_VERSION: Param = Param::optional("minVersion", VERSION, "1.2", "lowest version of TLS").by_name();
const MAX_VERSION: Param = Param::optional("maxVersion", VERSION, "1.3", "highest version of TLS").by_name();

/// TLS on TCP, or on any other stream.
pub(super) static TLS: Transport = Transport {
    name: "tls",
    summary: "TLS 1.2 and 1.3; a client verifies chain and name, a server without a key has netkit's own certificate",
    client: Some(ClientRole {
        params: CLIENT,
        examples: &[
            "tls:example.com:443",
            "tls:localhost:1234",
            "tls:example.com:443:trustRoots=ca.pem",
            "tls:example.com:443:endpoint=[unix:/run/tunnel.sock]",
            "tls:10.0.0.1:443:serverName=example.com:alpn=h2,http/1.1",
        ],
        connector,
    }),
    server: Some(ServerRole {
        params: SERVER,
        examples: &[
            "tls:1234",
            "tls:443:privateKey=key.pem:certKey=cert.pem",
            "tls:443:both.pem:clientCA=ca.pem",
            "tls:443:certDir=/etc/netkit/certs",
        ],
        binder,
    }),
};

fn connector(args: &Args) -> Result<Box<dyn Connector>, Refused> {
    let settings = ClientSettings {
        server_name: verified_name(args, "serverName")?,
        trust: trust(args)?,
        identity: client_identity(args, "certificate")?,
        alpn: alpn(args)?,
        versions: versions(args)?,
    };
    let timeout = args.duration("timeout").unwrap_or(TIMEOUT);
    let below = match args.endpoint("endpoint")? {
        Some(inner) => {
            if args.given("bindAddress") {
                let message = "bindAddress belongs to TCP, and endpoint= takes its place";
                let refused = args.refuse("bindAddress", Kind::Conflict, message);
                return Err(refused.help("give it to the inner endpoint"));
            }
            let connector = super::client(&inner)?;
            if connector.carries_datagrams() {
                let message = format!(
                    "TLS needs a stream of bytes, and {} carries datagrams",
                    inner.type_name()
                );
                return Err(args.refuse("endpoint", Kind::Unsupported, message));
            }
            Below::Endpoint(connector)
        }
        None => Below::Tcp(Target {
            host: args.host("host").to_owned(),
            port: args.port("port"),
            family: Family::Any,
            bind_address: args
                .given("bindAddress")
                .then(|| args.host("bindAddress").to_owned()),
            timeout,
            options: Options::default(),
        }),
    };
    Ok(Box::new(SecureClient::new(below, settings, timeout)))
}

fn trust(args: &Args) -> Result<Trust, Refused> {
    let clash = |name: &str, other: &str| {
        let message = format!("{name} and {other} each say whom to trust: one is enough");
        Err(args.refuse(name, Kind::Conflict, message))
    };
    let (pins, roots) = (args.list("pin"), args.text_if("trustRoots"));
    if args.flag("insecure") {
        return match (pins.is_empty(), roots) {
            (true, None) => Ok(Trust::Anybody),
            (false, _) => clash("insecure", "pin"),
            (true, Some(_)) => clash("insecure", "trustRoots"),
        };
    }
    match (pins, roots) {
        ([], None) if args.given("pin") => {
            Err(args.refuse("pin", Kind::EmptyItem, "there is no pin in the list"))
        }
        ([], None) => Ok(Trust::Platform),
        ([], Some(path)) => Ok(Trust::Roots(path.into())),
        (_, Some(_)) => clash("pin", "trustRoots"),
        (pins, None) => {
            let pins = pins.iter().map(|pin| {
                pin.parse::<Pin>().map_err(|error| {
                    let message = format!("{} is not a pin", quoted(pin));
                    args.refuse("pin", Kind::NotAPin, message).help(error.to_string())
                })
            });
            pins.collect::<Result<_, _>>().map(Trust::Pins)
        }
    }
}

fn alpn(args: &Args) -> Result<Vec<String>, Refused> {
    let names = args.list("alpn");
    // RFC 7301, section 3.1: a length is one byte.
    match names.iter().find(|name| name.len() > 255) {
        Some(_) => Err(args.refuse(
            "alpn",
            Kind::OutOfRange,
            "the name of an application protocol has at most 255 bytes",
        )),
        None => Ok(names.to_vec()),
    }
}

fn versions(args: &Args) -> Result<Versions, Refused> {
    let version = |name| match args.text(name) {
        "1.2" => Version::Tls12,
        _ => Version::Tls13,
    };
    let (min, max) = (version("minVersion"), version("maxVersion"));
    if min > max {
        let message = "minVersion is above maxVersion: no version is left";
        return Err(args.refuse("minVersion", Kind::Conflict, message));
    }
    Ok(Versions { min, max })
}

fn binder(args: &Args) -> Result<Box<dyn Binder>, Refused> {
    let path = |name: &str| args.text_if(name).map(PathBuf::from);
    let (extra, passphrases) = (path("extraCertChain"), passphrases(args));
    // Either file may hold both.
    let files = match (path("privateKey"), path("certKey")) {
        (None, None) if extra.is_some() => return Err(needs(args, "extraCertChain", "certKey")),
        (None, None) => None,
        (Some(key), certificate) => Some((certificate.unwrap_or_else(|| key.clone()), key)),
        (None, Some(both)) => Some((both.clone(), both)),
    };
    let files = files.map(|(certificate, key)| KeyFiles {
        key,
        certificate,
        extra,
        passphrases: passphrases.clone(),
    });
    let source = match (path("certDir"), files) {
        (Some(path), otherwise) => Source::Directory {
            path,
            passphrases,
            otherwise,
        },
        (None, Some(files)) => Source::Files(files),
        (None, None) if passphrases.file().is_some() => {
            return Err(needs(args, "passphraseFile", "privateKey"));
        }
        (None, None) => Source::local(),
    };
    let client_auth = match path("clientCA") {
        None if args.given("clientAuth") => return Err(needs(args, "clientAuth", "clientCA")),
        None => None,
        Some(authority) => Some(ClientAuth {
            authority,
            required: args.text("clientAuth") != "optional",
        }),
    };
    Ok(Box::new(SecureServer {
        listen: listen(args),
        settings: ServerSettings {
            source,
            client_auth,
            alpn: alpn(args)?,
            versions: versions(args)?,
        },
        dh_parameters: None,
        beneath: Vec::new(),
    }))
}

/// One socket for both families; on a machine without IPv6, one for IPv4.
fn listen(args: &Args) -> Vec<Listen> {
    let addresses = match args.address("interface") {
        Some(address) => vec![address],
        None => vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()],
    };
    let backlog = u32::try_from(args.integer("backlog")).unwrap_or(u32::MAX);
    let one = |ip| Listen {
        ip,
        zone: args.zone("interface").map(str::to_owned),
        port: args.port("port"),
        backlog,
        v6only: false,
    };
    addresses.into_iter().map(one).collect()
}
