//! The `ssl` endpoint, the old spelling of `tls` with its old fields. A client verifies all the same.
//! Absent: versions of TLS that were broken.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::secured::{
    Below, PASSPHRASE_FILE, SecureClient, SecureServer, TIMEOUT, client_identity, passphrases, verified_name,
};
use super::socket::{BACKLOG, Family, Listen, Options, Target};
use super::{Binder, ClientRole, Connector, ServerRole, Transport};
use crate::diagnostic::quoted;
use crate::endpoint::{Args, Kind, Param, Refused, ValueKind, nearest};
use crate::layer::tls::config::{ClientSettings, KeyFiles, ServerSettings, Source, Trust, Version, Versions};

const CLIENT: &[Param] = &[
    Param::required("host", ValueKind::Host, "name or address to connect to"),
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
    Param::absent("hostname", ValueKind::Host, "name to verify instead of the host").by_name(),
    Param::absent(
        "certKey",
        ValueKind::Path,
        "PEM with our certificate, and the key unless privateKey names it",
    )
    .by_name(),
    Param::absent(
        "privateKey",
        ValueKind::Path,
        "PEM with the key of our certificate",
    )
    .by_name(),
    Param::absent(
        "caCertsDir",
        ValueKind::Path,
        "directory of *.pem to trust instead of the platform's roots",
    )
    .by_name(),
    PASSPHRASE_FILE,
];

const SERVER: &[Param] = &[
    Param::required(
        "port",
        ValueKind::Port { zero_ok: true },
        "port; 0: the system picks one",
    ),
    Param::optional(
        "privateKey",
        ValueKind::Path,
        "server.pem",
        "PEM with the key, and the certificate unless certKey names it",
    ),
    Param::absent(
        "certKey",
        ValueKind::Path,
        "PEM with the certificate and what vouches for it",
    ),
    Param::absent(
        "sslmethod",
        ValueKind::Text,
        "TLS_METHOD, SSLv23_METHOD (both: 1.2 and 1.3) or TLSv1_2_METHOD",
    ),
    Param::optional(
        "interface",
        ValueKind::AddressV4,
        "0.0.0.0",
        "IPv4 address to bind",
    ),
    Param::optional("backlog", BACKLOG, "1024", "connections that wait to be accepted"),
    Param::absent(
        "extraCertChain",
        ValueKind::Path,
        "PEM with more certificates to send",
    ),
    Param::absent(
        "dhParameters",
        ValueKind::Path,
        "PEM with Diffie-Hellman parameters; checked, and not needed",
    ),
    PASSPHRASE_FILE,
];

/// TLS as it was written before it was called so.
pub(super) static SSL: Transport = Transport {
    name: "ssl",
    summary: "the old spelling of tls; a server takes IPv4",
    client: Some(ClientRole {
        params: CLIENT,
        examples: &["ssl:example.com:443", "ssl:10.0.0.1:443:hostname=example.com"],
        connector,
    }),
    server: Some(ServerRole {
        params: SERVER,
        examples: &["ssl:443", "ssl:443:privateKey=key.pem:certKey=cert.pem"],
        binder,
    }),
};

const BOTH: Versions = Versions {
    min: Version::Tls12,
    max: Version::Tls13,
};

fn connector(args: &Args) -> Result<Box<dyn Connector>, Refused> {
    let settings = ClientSettings {
        server_name: verified_name(args, "hostname")?,
        trust: args
            .text_if("caCertsDir")
            .map_or(Trust::Platform, |path| Trust::Roots(path.into())),
        identity: client_identity(args, "certKey")?,
        alpn: Vec::new(),
        versions: BOTH,
    };
    let timeout = args.duration("timeout").unwrap_or(TIMEOUT);
    let below = Below::Tcp(Target {
        host: args.host("host").to_owned(),
        port: args.port("port"),
        family: Family::Any,
        bind_address: args
            .given("bindAddress")
            .then(|| args.host("bindAddress").to_owned()),
        timeout,
        options: Options::default(),
    });
    Ok(Box::new(SecureClient::new(below, settings, timeout)))
}

fn binder(args: &Args) -> Result<Box<dyn Binder>, Refused> {
    let path = |name: &str| args.text_if(name).map(PathBuf::from);
    let key = PathBuf::from(args.text("privateKey"));
    Ok(Box::new(SecureServer {
        listen: vec![Listen {
            ip: args
                .address("interface")
                .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            zone: None,
            port: args.port("port"),
            backlog: u32::try_from(args.integer("backlog")).unwrap_or(u32::MAX),
            v6only: false,
        }],
        settings: ServerSettings {
            source: Source::Files(KeyFiles {
                certificate: path("certKey").unwrap_or_else(|| key.clone()),
                key,
                extra: path("extraCertChain"),
                passphrases: passphrases(args),
            }),
            client_auth: None,
            alpn: Vec::new(),
            versions: method(args)?,
        },
        dh_parameters: path("dhParameters"),
        beneath: Vec::new(),
    }))
}

/// The methods that are taken.
const METHODS: [&str; 3] = ["TLS_METHOD", "SSLv23_METHOD", "TLSv1_2_METHOD"];

/// What a method of pyOpenSSL means; those that stand for broken versions are refused with the reason.
fn method(args: &Args) -> Result<Versions, Refused> {
    let unsupported = |why: &str| Err(args.refuse("sslmethod", Kind::Unsupported, why));
    match args.text_if("sslmethod") {
        None | Some("TLS_METHOD" | "SSLv23_METHOD") => Ok(BOTH),
        Some("TLSv1_2_METHOD") => Ok(Versions {
            max: Version::Tls12,
            ..BOTH
        }),
        Some("SSLv2_METHOD") => unsupported("SSL 2.0 is broken (RFC 6176) and not spoken here"),
        Some("SSLv3_METHOD") => unsupported("SSL 3.0 is broken (RFC 7568) and not spoken here"),
        Some("TLSv1_METHOD" | "TLSv1_1_METHOD") => {
            unsupported("TLS 1.0 and 1.1 are broken (RFC 8996) and not spoken here")
        }
        Some(other) => {
            let message = format!("there is no method {}", quoted(other));
            let refused = args.refuse("sslmethod", Kind::NotAChoice, message);
            Err(match nearest(other, METHODS) {
                Some(method) => refused.help(format!("did you mean `{method}`?")),
                None => refused.help(format!("methods are {}", METHODS.join(", "))),
            })
        }
    }
}
