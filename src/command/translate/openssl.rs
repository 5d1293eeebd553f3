//! openssl s_client and s_server.
//! Absent: everything else that openssl does.

use netkit::diagnostic::{Span, quoted};

use super::options::{Given, Row, Style, Then, lost, lost_value, read, same, set, take};
use super::told::{Line, Told, Translation};
use super::wire::{End, Family, Kind, host, host_and_port, port};
use super::words::{Read, Unread, Word};

/// Where both go without a port.
const PORT: &str = "4433";
/// What s_server shows without a certificate.
const CERTIFICATE: &str = "server.pem";

#[derive(Debug, Default)]
struct Session {
    end: End,
    unix: Option<String>,
    /// Whether a certificate that is refused ends the connection.
    strict: bool,
    /// Whether the name in it counts.
    checks_name: bool,
    asks: Option<&'static str>,
    ca_path: Option<Given>,
    crlf: bool,
    verbose: bool,
    data: bool,
    hexdump: bool,
    key_password: Option<Given>,
    once: bool,
}

const NO_CIPHERS: &str = "ciphers, groups and signatures of netkit are fixed, and all are good ones";
const NO_RESUMPTION: &str = "netkit keeps its sessions to itself";
const NO_OLD: &str = "netkit speaks TLS 1.2 and 1.3";
const NO_DATAGRAMS: &str = "netkit has no endpoint for TLS on datagrams";
const NO_PSK: &str = "netkit knows certificates, and no keys that are shared before";
const SHOW: &str = "netkit cert show ENDPOINT shows what a server presents";
const NO_DEPTH: &str = "netkit limits no chain to a depth";
const NO_WEB: &str = "netkit sends no files and no pages";

/// What both have.
macro_rules! rows {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            set(&["-4"], |session| session.end.family = Some(Family::V4)),
            set(&["-6"], |session| session.end.family = Some(Family::V6)),
            set(&["-crlf"], |session| session.crlf = true),
            set(&["-tls1_2"], |session| (session.end.tls.lowest, session.end.tls.highest) = (Some("1.2"), Some("1.2"))),
            set(&["-tls1_3"], |session| (session.end.tls.lowest, session.end.tls.highest) = (Some("1.3"), Some("1.3"))),
            set(&["-no_tls1_2"], |session| session.end.tls.lowest = Some("1.3")),
            set(&["-no_tls1_3"], |session| session.end.tls.highest = Some("1.2")),
            set(&["-verify_return_error"], |session| session.strict = true),
            set(&["-debug"], |session| session.hexdump = true),
            set(&["-msg", "-state", "-security_debug"], |session| session.data = true),
            set(&["-brief"], |session| session.verbose = true),
            // Who waits, and how, is not seen from outside.
            same(&["-nbio", "-async"]),
            lost(&["-nbio_test", "-ign_read_errors"], "it is for tests of openssl itself"),
            same(&["-quiet", "-no_ssl2", "-no_ssl3", "-no_tls1", "-no_tls1_1", "-no_comp", "-no_renegotiation", "-nocommands"]),
            take(&["-cert"], |session, given, _| put(&mut session.end.tls.cert, given)),
            take(&["-key"], |session, given, _| put(&mut session.end.tls.key, given)),
            take(&["-cert_chain"], |session, given, _| put(&mut session.end.tls.chain, given)),
            take(&["-CAfile"], |session, given, _| put(&mut session.end.tls.trust, given)),
            take(&["-CApath"], |session, given, _| {
                session.ca_path = Some(given.clone());
                Ok(())
            }),
            take(&["-alpn"], |session, given, _| put(&mut session.end.tls.alpn, given)),
            take(&["-unix"], |session, given, _| put(&mut session.unix, given)),
            take(&["-pass"], |session, given, _| {
                session.key_password = Some(given.clone());
                Ok(())
            }),
            take(&["-certform", "-keyform"], |_, given, told| {
                if !given.value.text.eq_ignore_ascii_case("PEM") {
                    given.lose(told, "netkit reads PEM");
                }
                Ok(())
            }),
            take(&["-min_protocol"], |session, given, told| {
                match version(&given.value.text) {
                    Some(version) => session.end.tls.lowest = Some(version),
                    None => given.lose(told, NO_OLD),
                }
                Ok(())
            }),
            take(&["-max_protocol"], |session, given, told| {
                match version(&given.value.text) {
                    Some(version) => session.end.tls.highest = Some(version),
                    None => given.lose(told, NO_OLD),
                }
                Ok(())
            }),
            refused(&["-dtls", "-dtls1", "-dtls1_2", "-sctp"]),
            lost(&["-ssl3", "-tls1", "-tls1_1"], NO_OLD),
            lost(&["-help"], "netkit connect --help and netkit listen --help"),
            lost(&["-no-CAfile", "-no-CApath", "-no-CAstore"], "trustRoots= is all that is trusted, where it is given"),
            lost(&["-trace", "-tlsextdebug"], "-vv shows data, not records"),
            lost(&["-no_ticket", "-no_cache", "-ext_cache"], NO_RESUMPTION),
            lost(&["-bugs", "-legacy_renegotiation", "-legacy_server_connect", "-serverpref", "-no_etm", "-no_ems", "-prioritize_chacha"], NO_CIPHERS),
            lost(&["-crl_check", "-crl_check_all", "-crl_download", "-x509_strict", "-partial_chain", "-trusted_first"], "netkit checks no lists of revoked certificates, and chains as it does"),
            lost_value(&["-cipher", "-ciphersuites", "-curves", "-groups", "-named_curve", "-sigalgs", "-client_sigalgs"], NO_CIPHERS),
            lost_value(&["-psk", "-psk_identity", "-psk_session", "-psk_hint"], NO_PSK),
            lost_value(&["-CAstore", "-chainCAfile", "-chainCApath", "-verifyCAfile", "-verifyCApath", "-CRL", "-CRLform"], "trustRoots= and clientCA= take a PEM file or a directory"),
            lost_value(&["-xkey", "-xcert", "-xchain", "-dcert", "-dkey", "-dcert_chain", "-dpass", "-xcertform", "-xkeyform", "-dcertform", "-dkeyform"], "an endpoint has one certificate; certDir= has more"),
            lost_value(&["-keylogfile"], "the environment variable SSLKEYLOGFILE names that file"),
            lost_value(&["-rand", "-writerand", "-engine", "-provider", "-provider-path", "-propquery", "-ssl_config", "-nameopt"], "it is about libraries of openssl"),
            lost_value(&["-verify_depth"], NO_DEPTH),
            lost_value(&["-purpose", "-policy", "-attime", "-auth_level", "-verify_name", "-verify_email"], "netkit verifies as browsers do"),
            lost_value(&["-max_send_frag", "-split_send_frag", "-max_pipelines", "-read_buf", "-mtu", "-maxfraglen", "-record_padding"], "records have the size that they have"),
            lost_value(&["-use_srtp", "-srpuser", "-srppass", "-srpvfile", "-keymatexport", "-keymatexportlen", "-status_file", "-status_url", "-status_timeout"], "netkit has nothing like it"),
            lost(&["-status", "-status_verbose", "-ct", "-noct", "-early_data", "-stateless"], "netkit has nothing like it"),
        ]
    };
}

static CLIENT: &[Row<Session>] = rows![
    take(&["-connect"], |session, given, _| target(session, &given.value)),
    take(&["-host"], |session, given, _| {
        session.end.host = host(&given.value)?;
        Ok(())
    }),
    take(&["-port"], |session, given, _| {
        session.end.port = port(&given.value, false)?;
        Ok(())
    }),
    take(&["-bind"], |session, given, told| {
        let (local, number) = match given.value.text.rfind(':') {
            Some(at) => (&given.value.text[..at], &given.value.text[at + 1..]),
            None => (given.value.text.as_str(), "0"),
        };
        session.end.leaving_from = Some(super::wire::bare(local)).filter(|local| !local.is_empty());
        if number != "0" {
            given.lose(told, "the port: a client leaves from one that the system picks");
        }
        Ok(())
    }),
    take(
        &["-servername", "-verify_hostname", "-verify_ip"],
        |session, given, told| {
            session.checks_name |= given.name != "-servername";
            let named = session.end.tls.server_name.get_or_insert_with(|| given.value());
            if *named != given.value.text {
                given.lose(
                    told,
                    "the name that is asked for is the one that is verified: serverName=",
                );
            }
            Ok(())
        }
    ),
    same(&["-ign_eof"]),
    take(&["-verify"], |_, given, told| {
        lose_depth(given, told);
        Ok(())
    }),
    lost(
        &["-no_ign_eof"],
        "at the end of the input netkit ends its half and waits for the peer"
    ),
    lost(&["-noservername"], "the name that is verified is asked for too"),
    lost(&["-showcerts", "-prexit", "-verify_quiet"], SHOW),
    lost(
        &["-reconnect", "-enable_pha", "-fallback_scsv", "-adv"],
        NO_RESUMPTION
    ),
    lost_value(&["-sess_out", "-sess_in"], NO_RESUMPTION),
    lost_value(
        &["-starttls"],
        "netkit begins TLS at once, without a word of another protocol before"
    ),
    lost_value(&["-name", "-xmpphost"], "it is for -starttls"),
    lost_value(
        &["-proxy", "-proxy_user", "-proxy_pass"],
        "netkit goes through no HTTP or SOCKS proxy"
    ),
    lost_value(
        &[
            "-nextprotoneg",
            "-serverinfo",
            "-dane_tlsa_domain",
            "-dane_tlsa_rrdata",
            "-ctlogfile"
        ],
        "netkit has nothing like it"
    ),
];

static SERVER: &[Row<Session>] = rows![
    take(&["-accept"], |session, given, _| {
        let (address, number) = place(&given.value, true)?;
        session.end.port = number;
        session.end.bind(&address)
    }),
    take(&["-port"], |session, given, _| {
        session.end.port = port(&given.value, true)?;
        Ok(())
    }),
    take(&["-naccept"], |session, given, told| {
        session.once = given.value.text == "1";
        if !session.once {
            given.lose(
                told,
                "netkit listen takes one connection, or with --keep-open any number",
            );
        }
        Ok(())
    }),
    take(&["-verify"], |session, given, told| {
        lose_depth(given, told);
        session.asks = Some("optional");
        Ok(())
    }),
    take(&["-Verify"], |session, given, told| {
        lose_depth(given, told);
        session.asks = Some("require");
        Ok(())
    }),
    same(&["-unlink"]),
    lost(&["-www", "-WWW", "-HTTP", "-http_server_binmode"], NO_WEB),
    lost(&["-rev"], "netkit serve echo gives back what came, unturned"),
    lost(
        &[
            "-nocert",
            "-no_dhe",
            "-no_resumption_on_reneg",
            "-anti_replay",
            "-no_anti_replay",
            "-dhparam_auto"
        ],
        "netkit has nothing like it"
    ),
    lost_value(&["-dhparam"], "keys are agreed on by ECDHE"),
    lost_value(
        &["-cert2", "-key2", "-servername"],
        "certDir= has certificates for several names"
    ),
    lost(
        &["-servername_fatal", "-timeout", "-listen", "-cert_comp"],
        "netkit has nothing like it"
    ),
    lost_value(
        &[
            "-context",
            "-id_prefix",
            "-nextprotoneg",
            "-serverinfo",
            "-max_early_data",
            "-recv_max_early_data",
            "-num_tickets"
        ],
        NO_RESUMPTION
    ),
];

const fn refused(names: &'static [&'static str]) -> Row<Session> {
    Row {
        names,
        valued: false,
        then: Then::Take(|_, given, _| Err(given.refuse(NO_DATAGRAMS))),
    }
}

fn put(place: &mut Option<String>, given: &Given) -> Read<()> {
    *place = Some(given.value());
    Ok(())
}

/// Of `-verify` only the depth is lost.
fn lose_depth(given: &Given, told: &mut Told) {
    told.lose(
        format!("the depth of {} {}", given.name, given.value.text),
        NO_DEPTH,
    );
}

fn version(text: &str) -> Option<&'static str> {
    match text {
        "TLSv1.2" => Some("1.2"),
        "TLSv1.3" => Some("1.3"),
        _ => None,
    }
}

/// `host:port`, and a host alone.
fn target(session: &mut Session, word: &Word) -> Read<()> {
    let alone = !word.text.contains(':') || word.text.ends_with(']');
    let (name, number) = if alone {
        (word.clone(), PORT.to_owned())
    } else {
        host_and_port(word)?
    };
    // openssl takes a port alone as one of this machine.
    session.end.host = if name.text.is_empty() {
        "localhost".into()
    } else {
        host(&name)?
    };
    session.end.port = number;
    Ok(())
}

fn place(word: &Word, zero_ok: bool) -> Read<(Word, String)> {
    let at = word.text.rfind(':');
    let number = word.part(at.map_or(0, |at| at + 1), word.text.len());
    Ok((word.part(0, at.unwrap_or(0)), port(&number, zero_ok)?))
}

pub(super) fn translate(words: &[Word], whole: Span) -> Read<Translation> {
    let Some((verb, rest)) = words.split_first() else {
        return Err(Unread {
            span: Span::at(whole.end),
            message: "s_client or s_server is missing".into(),
            help: None,
        });
    };
    let serves = match verb.text.as_str() {
        "s_client" => false,
        "s_server" => true,
        other => {
            let message = format!(
                "of openssl, s_client and s_server are read, and not {}",
                quoted(other)
            );
            return Err(verb
                .refuse(message)
                .help("netkit cert makes and shows certificates"));
        }
    };
    let mut told = Told::default();
    let mut session = Session::default();
    session.end.kind = Kind::Tls;
    session.end.port = PORT.into();
    let (program, rows) = if serves {
        ("s_server", SERVER)
    } else {
        ("s_client", CLIENT)
    };
    let surplus = read(program, Style::Long, rows, rest, &mut session, &mut told)?;
    match &surplus[..] {
        [] => {}
        [word] if !serves => target(&mut session, word)?,
        [word, ..] => return Err(word.refuse(format!("{program} takes no further word"))),
    }
    let mut line = if serves {
        session.server(&mut told)
    } else {
        session.client(&mut told)
    };
    line.switch("--crlf", session.crlf);
    line.switch("--hexdump", session.hexdump);
    match (session.data, session.verbose) {
        (true, _) => line.word("-vv"),
        (false, true) => line.word("-v"),
        _ => {}
    }
    Ok(Translation {
        lines: vec![line],
        told,
    })
}

impl Session {
    fn client(&mut self, told: &mut Told) -> Line {
        if let Some(given) = self.ca_path.take() {
            given.lose(
                told,
                "its files have hashes for names; trustRoots= takes a PEM file, or a directory of *.pem",
            );
        }
        if self.end.tls.chain.take().is_some() {
            told.lose("-cert_chain", "the file of certificate= holds the chain too");
        }
        self.password(told);
        if let Some(path) = &self.unix {
            let name = self.end.tls.server_name.take();
            let name = name.unwrap_or_else(|| "localhost".to_owned());
            self.end.host = name;
            let below = End {
                kind: Kind::Unix,
                host: path.clone(),
                ..End::default()
            };
            self.end.fields.push(("endpoint", below.client()));
        }
        if self.end.host.is_empty() {
            self.end.host = "localhost".into();
        }
        self.end.lose_lonely_key(false, told);
        if !self.strict {
            self.end.note_verified("s_client", told);
        } else if !self.checks_name {
            told.note(
                "s_client verifies the chain alone; netkit verifies the name too, and serverName= says which",
            );
        }
        Line::of(&["connect", &self.end.client()])
    }

    fn server(&mut self, told: &mut Told) -> Line {
        if let Some(given) = self.ca_path.take() {
            given.lose(
                told,
                "its files have hashes for names; clientCA= takes a PEM file, or a directory of *.pem",
            );
        }
        if let Some(path) = self.unix.take() {
            told.lose(format!("-unix {path}"), "the tls server endpoint is on TCP");
        }
        if self.end.tls.cert.is_none() {
            self.end.tls.cert = Some(CERTIFICATE.into());
        }
        self.password(told);
        match (self.asks, &self.end.tls.trust) {
            (Some(asks), Some(_)) => self.end.tls.client_auth = Some(asks),
            (Some(_), None) => told.lose("-verify", "a server verifies clients by a file: -CAfile"),
            (None, _) => self.end.note_unused_trust("-CAfile", told),
        }
        let mut line = Line::of(&["listen", &self.end.server()]);
        line.switch("--keep-open", !self.once);
        line
    }

    /// A passphrase out of a file stays there; any other would stand in the line.
    fn password(&mut self, told: &mut Told) {
        let Some(given) = self.key_password.take() else {
            return;
        };
        match given.value.text.strip_prefix("file:") {
            Some(path) => self.end.tls.passphrase_file = Some(path.to_owned()),
            None => told.lose(
                "-pass",
                "a passphrase comes from passphraseFile=, or from the terminal",
            ),
        }
    }
}
