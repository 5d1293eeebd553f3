//! One service of stunnel: the table of what it may say, and the relay that it becomes.
//! Absent: the file that it stands in.

use netkit::diagnostic::{Span, quoted};

use super::super::options::{Given, Row, Then, lost_value};
use super::super::told::{Line, Told};
use super::super::wire::{End, Family, Kind, Tls, bare, port, time};
use super::super::words::{Read, Unread, Word};

/// What stands in front of the first service.
#[derive(Debug, Default, Clone)]
struct Global {
    user: Option<String>,
    group: Option<String>,
    chroot: Option<String>,
    pidfile: Option<String>,
    log_file: Option<String>,
    syslog: bool,
    verbose: bool,
    quiet: bool,
    background: Option<bool>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Service {
    pub(super) name: String,
    global: Global,
    accept: Option<Word>,
    connect: Vec<Word>,
    client: bool,
    tls: Tls,
    verify_chain: bool,
    verify_peer: Option<Given>,
    asks: Option<&'static str>,
    check_name: Option<String>,
    sni: Option<Given>,
    protocol: Option<Given>,
    idle: Option<String>,
    timeout: Option<String>,
    local: Option<String>,
    first: bool,
    /// Where its name stands.
    pub(super) own_line: Span,
}

pub(super) static ROWS: &[Row<Service>] = &[
    row(&["accept"], |service, given, _| {
        service.accept = Some(given.value.clone());
        Ok(())
    }),
    row(&["connect"], |service, given, _| {
        service.connect.push(given.value.clone());
        Ok(())
    }),
    row(&["client"], |service, given, _| {
        service.client = yes(given)?;
        Ok(())
    }),
    row(&["cert"], |service, given, _| put(&mut service.tls.cert, given)),
    row(&["key"], |service, given, _| put(&mut service.tls.key, given)),
    row(&["cafile", "capath"], |service, given, _| {
        put(&mut service.tls.trust, given)
    }),
    row(&["verifychain"], |service, given, _| {
        service.verify_chain = yes(given)?;
        if service.verify_chain {
            service.asks = Some("require");
        }
        Ok(())
    }),
    row(&["verifypeer"], |service, given, _| {
        if yes(given)? {
            service.verify_peer = Some(given.clone());
            service.asks = Some("require");
        }
        Ok(())
    }),
    row(&["requirecert"], |service, given, _| {
        if yes(given)? {
            service.asks = Some("require");
        }
        Ok(())
    }),
    row(&["verify"], |service, given, _| {
        match given.value.text.as_str() {
            "0" => {}
            "1" => (service.verify_chain, service.asks) = (true, Some("optional")),
            "2" => (service.verify_chain, service.asks) = (true, Some("require")),
            "3" | "4" => (service.verify_peer, service.asks) = (Some(given.clone()), Some("require")),
            _ => return Err(given.value.refuse("verify is a number from 0 to 4")),
        }
        Ok(())
    }),
    row(&["checkhost", "checkip"], |service, given, _| {
        put(&mut service.check_name, given)
    }),
    row(&["sni"], |service, given, _| {
        service.sni = Some(given.clone());
        Ok(())
    }),
    row(&["protocol"], |service, given, _| {
        service.protocol = Some(given.clone());
        Ok(())
    }),
    row(&["timeoutidle"], |service, given, _| {
        service.idle = time(&given.value)?;
        Ok(())
    }),
    row(&["timeoutconnect"], |service, given, _| {
        service.timeout = time(&given.value)?;
        Ok(())
    }),
    row(&["local"], |service, given, _| {
        service.local = Some(bare(&given.value.text));
        Ok(())
    }),
    row(&["failover"], |service, given, told| {
        match given.value.text.as_str() {
            "prio" => service.first = true,
            "rr" => service.first = false,
            _ => given.lose(told, "netkit knows round-robin, least and first"),
        }
        Ok(())
    }),
    row(&["sslversion"], |service, given, told| {
        match version(&given.value.text) {
            Some(version) => (service.tls.lowest, service.tls.highest) = (Some(version), Some(version)),
            None if given.value.text == "all" => {}
            None => given.lose(told, NO_OLD),
        }
        Ok(())
    }),
    row(&["sslversionmin"], |service, given, told| {
        match version(&given.value.text) {
            Some(version) => service.tls.lowest = Some(version),
            None if given.value.text == "all" => {}
            None => given.lose(told, NO_OLD),
        }
        Ok(())
    }),
    row(&["sslversionmax"], |service, given, told| {
        match version(&given.value.text) {
            Some(version) => service.tls.highest = Some(version),
            None if given.value.text == "all" => {}
            None => given.lose(told, NO_OLD),
        }
        Ok(())
    }),
    row(&["options"], |_, given, told| {
        // Those are never spoken.
        if !matches!(
            given.value.text.as_str(),
            "NO_SSLv2" | "NO_SSLv3" | "NO_TLSv1" | "NO_TLSv1.1" | "-NO_SSLv2" | "-NO_SSLv3"
        ) {
            given.lose(told, "it is about OpenSSL");
        }
        Ok(())
    }),
    row(&["setuid"], |service, given, _| {
        put(&mut service.global.user, given)
    }),
    row(&["setgid"], |service, given, _| {
        put(&mut service.global.group, given)
    }),
    row(&["chroot"], |service, given, _| {
        put(&mut service.global.chroot, given)
    }),
    row(&["pid"], |service, given, _| {
        put(&mut service.global.pidfile, given)
    }),
    row(&["output"], |service, given, _| {
        put(&mut service.global.log_file, given)
    }),
    row(&["syslog"], |service, given, _| {
        service.global.syslog = yes(given)?;
        Ok(())
    }),
    row(&["foreground"], |service, given, _| {
        service.global.background = Some(given.value.text == "no");
        Ok(())
    }),
    row(&["debug"], |service, given, _| {
        let level = given.value.text.rsplit('.').next().unwrap_or_default();
        service.global.verbose = matches!(level, "6" | "7" | "info" | "debug");
        service.global.quiet = matches!(level, "0" | "1" | "2" | "3" | "emerg" | "alert" | "crit" | "err");
        Ok(())
    }),
    lost(&["exec", "execargs", "pty"], super::super::netcat::NO_PROGRAMS),
    lost(
        &[
            "ciphers",
            "ciphersuites",
            "curve",
            "curves",
            "securitylevel",
            "dhparam",
        ],
        "the ciphers of netkit are fixed, and all are good ones",
    ),
    lost(
        &[
            "crlfile",
            "crlpath",
            "ocsp",
            "ocspaia",
            "ocspflag",
            "ocspnonce",
            "ocsprequire",
        ],
        "netkit checks no lists of revoked certificates",
    ),
    lost(
        &["pskidentity", "psksecrets"],
        "netkit knows certificates, and no keys that are shared before",
    ),
    lost(
        &["timeoutbusy", "timeoutclose"],
        "netkit waits for the other half without a limit",
    ),
    lost(&["checkemail"], "netkit verifies names of hosts and addresses"),
    lost(&["include"], "name the files one by one"),
    lost(
        &["transparent"],
        "netkit connects as itself; haproxy: tells the other end who the client is",
    ),
];

const NO_OLD: &str = "netkit speaks TLS 1.2 and 1.3";

const fn row(
    names: &'static [&'static str],
    then: fn(&mut Service, &Given, &mut Told) -> Read<()>,
) -> Row<Service> {
    Row {
        names,
        valued: true,
        then: Then::Take(then),
    }
}

const fn lost(names: &'static [&'static str], why: &'static str) -> Row<Service> {
    lost_value(names, why)
}

fn put(place: &mut Option<String>, given: &Given) -> Read<()> {
    *place = Some(given.value());
    Ok(())
}

fn yes(given: &Given) -> Read<bool> {
    match given.value.text.as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(given
            .value
            .refuse(format!("{} is neither yes nor no", quoted(other)))),
    }
}

fn version(text: &str) -> Option<&'static str> {
    match text {
        "TLSv1.2" => Some("1.2"),
        "TLSv1.3" => Some("1.3"),
        _ => None,
    }
}

impl Service {
    /// A service that begins with what stands in front of all.
    pub(super) fn named(&self, name: &str, own_line: Span) -> Service {
        Service {
            name: name.to_owned(),
            own_line,
            ..self.clone()
        }
    }

    pub(super) fn line(mut self, several: bool, told: &mut Told) -> Read<Line> {
        let refuse = |span: Span, message: String| Unread {
            span,
            message,
            help: None,
        };
        let name = self.name.clone();
        let missing = |what: &str| {
            refuse(
                self.own_line,
                format!("the service {} has no {what}", quoted(&name)),
            )
        };
        let accept = self.accept.clone().ok_or_else(|| missing("`accept`"))?;
        if self.connect.is_empty() {
            return Err(missing("`connect`"));
        }
        let mut near = End {
            kind: if self.client { Kind::Tcp } else { Kind::Tls },
            ..End::default()
        };
        address(&accept, &mut near, true)?;
        if near.kind == Kind::Tls {
            near.tls = self.tls.clone();
            if near.tls.cert.is_none() {
                told.note(format!(
                    "{}: a server of stunnel needs cert; without one netkit has a certificate of its own authority, which this user's netkit trusts",
                    self.name
                ));
            }
            self.clients(&mut near, told);
        }
        let mut targets = Vec::new();
        for connect in self.connect.clone() {
            let mut far = End {
                kind: if self.client { Kind::Tls } else { Kind::Tcp },
                timeout: self.timeout.clone(),
                leaving_from: self.local.clone(),
                ..End::default()
            };
            address(&connect, &mut far, false)?;
            if self.client {
                self.server(&mut far, told);
            }
            targets.push(far.client());
        }
        self.protocol(&mut targets, told);
        let mut line = Line::of(&["relay", &near.server()]);
        match &targets[..] {
            [target] => line.word(target),
            _ => {
                for target in &targets {
                    line.flag("--to", Some(target));
                }
                line.flag("--balance", self.first.then_some("first"));
            }
        }
        line.flag("--idle-timeout", self.idle.as_deref());
        self.process(&mut line, several, told);
        Ok(line)
    }

    /// What a server asks of its clients.
    fn clients(&mut self, near: &mut End, told: &mut Told) {
        if let Some(given) = self.verify_peer.take() {
            given.lose(
                told,
                "clientCA= takes those whom an authority vouches for, not a list of certificates",
            );
        }
        match (self.asks, &near.tls.trust) {
            (Some(asks), Some(_)) => near.tls.client_auth = Some(asks),
            (Some(_), None) => told.lose("verifyChain", "a server verifies clients by a file: CAfile"),
            (None, _) => near.note_unused_trust("CAfile", told),
        }
        if let Some(name) = self.check_name.take() {
            told.lose(
                format!("checkHost={name}"),
                "a server verifies clients by who vouches for them",
            );
        }
        if let Some(given) = self.sni.take() {
            given.lose(
                told,
                "certDir= has certificates for several names, and one target for them all",
            );
        }
    }

    /// What a client asks of its server.
    fn server(&self, far: &mut End, told: &mut Told) {
        far.tls = self.tls.clone();
        far.tls.server_name = self.check_name.clone();
        if let Some(given) = &self.sni {
            let named = far.tls.server_name.get_or_insert_with(|| given.value());
            if *named != given.value.text {
                given.lose(
                    told,
                    "the name that is asked for is the one that is verified: serverName=",
                );
            }
        }
        match &self.verify_peer {
            Some(given) => given.lose(
                told,
                "pin=sha256/... trusts one server; netkit cert show ENDPOINT has it",
            ),
            None if !self.verify_chain => far.note_verified("stunnel", told),
            None if self.check_name.is_none() => {
                told.note("stunnel verifies the chain alone; netkit verifies the name too, and serverName= says which");
            }
            None => {}
        }
        far.lose_lonely_key(false, told);
    }

    fn protocol(&self, targets: &mut [String], told: &mut Told) {
        let Some(given) = &self.protocol else {
            return;
        };
        if given.value.text != "proxy" || self.client {
            given.lose(
                told,
                "netkit begins TLS at once, without a word of another protocol before",
            );
            return;
        }
        for target in targets {
            *target = format!("haproxy:version=1:{target}");
        }
    }

    fn process(&self, line: &mut Line, several: bool, told: &mut Told) {
        let global = &self.global;
        match global.background {
            Some(background) => line.switch("--daemonize", background),
            None => told.note("stunnel goes into the background; --daemonize does so"),
        }
        if let (Some(path), false) = (&global.pidfile, several) {
            // An empty one means none.
            line.flag("--pidfile", Some(path.as_str()).filter(|path| !path.is_empty()));
        } else if let Some(path) = &global.pidfile {
            told.lose(format!("pid={path}"), "each service is a process of its own");
        }
        line.flag("--user", global.user.as_deref());
        line.flag("--group", global.group.as_deref());
        line.flag("--chroot", global.chroot.as_deref());
        line.flag("--log-file", global.log_file.as_deref());
        line.switch("--syslog", global.syslog && global.log_file.is_none());
        line.switch("-v", global.verbose);
        line.switch("-q", global.quiet);
    }
}

/// `port`, `host:port`, `:::port`, or a path.
fn address(word: &Word, end: &mut End, listens: bool) -> Read<()> {
    let text = word.text.as_str();
    if text.starts_with('/') {
        if end.kind == Kind::Tls {
            return Err(word
                .refuse("the tls server endpoint is on TCP")
                .help("a client speaks TLS on any endpoint: endpoint=[unix:PATH]"));
        }
        end.kind = Kind::Unix;
        end.host = text.to_owned();
        return Ok(());
    }
    let at = text.rfind(':');
    let place = word.part(0, at.unwrap_or(0));
    end.port = port(&word.part(at.map_or(0, |at| at + 1), text.len()), listens)?;
    if listens {
        // Without an address stunnel takes IPv4 alone.
        if place.text.is_empty() && end.kind == Kind::Tls {
            end.family = Some(Family::V4);
        }
        return end.bind(&place);
    }
    end.host = match bare(&place.text) {
        host if host.is_empty() => "localhost".into(),
        host => host,
    };
    Ok(())
}
