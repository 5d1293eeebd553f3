//! The report on a server: what it shows, what is wrong with which of its certificates, and what would help.
//! Absent: handshakes, and finding out what is wrong.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::pages::{self, Entry};
use super::remedy::{Remedy, remedies};
use netkit::cert::CertificateDer;
use netkit::cert::chain::Finding;
use netkit::cert::inspect;
use netkit::connection::facts::Tls;
use netkit::error::{Error, Result, Status};
use netkit::layer::tls::doctor::Verifies;
use netkit::transport::Doctor;
use netkit::transport::reading::ClientEndpoint;

/// What was found out about a server.
pub(super) struct Report {
    /// Its certificates, its own first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// Why it is not to be believed.
    pub(super) refused: Option<Error>,
    /// `None` where the handshake came to no end, whoever it is.
    tls: Option<Tls>,
    peer: Option<String>,
    /// What leads there.
    endpoint: String,
    verifies: Verifies,
    /// What it is refused for.
    faults: Vec<Finding>,
    /// What it is not refused for.
    remarks: Vec<Finding>,
    remedies: Vec<Remedy>,
}

/// Connects as everybody would; if that is refused, once more to see who was refused.
pub(super) async fn see(endpoint: &ClientEndpoint) -> Result<Report> {
    let could_not = |why: String| {
        Error::new(Status::Usage, why).on(format!("could not look at {}", endpoint.text().escape_debug()))
    };
    let Some(doctor) = endpoint.doctor() else {
        let why = format!(
            "there is no TLS in a {} endpoint, and so no certificate",
            endpoint.type_name()
        );
        let help = "TLS on any other endpoint is written tls:HOST:PORT:endpoint=[ENDPOINT]";
        return Err(could_not(why).help(help));
    };
    let (connection, refused, seen) = match endpoint.connect().await {
        Ok(connection) => (Some(connection), None, None),
        Err(error) if error.status() == Status::Tls => match doctor.look().await {
            Ok(look) => (look.connection.ok(), Some(error), Some(look.chain)),
            // What keeps everybody out is the better reason.
            Err(_) => return Err(error),
        },
        Err(error) => return Err(error),
    };
    let facts = connection.as_ref().map(|connection| connection.facts());
    let tls = facts.and_then(|facts| facts.tls.as_deref().cloned());
    let peer = facts.map(|facts| facts.peer.to_string());
    let chain = seen.unwrap_or_else(|| {
        let shown = tls.iter().flat_map(|tls| &tls.peer_certificates);
        shown.map(|der| CertificateDer::from(der.clone())).collect()
    });
    Report::new(endpoint.text(), doctor, chain, refused, tls, peer)
}

impl Report {
    fn new(
        endpoint: &str,
        doctor: &dyn Doctor,
        chain: Vec<CertificateDer<'static>>,
        refused: Option<Error>,
        tls: Option<Tls>,
        peer: Option<String>,
    ) -> Result<Self> {
        let verifies = doctor.verifies();
        let found = doctor.examine(&chain)?;
        // Whoever was let in has no faults that count, whatever we think of them.
        let counts = |finding: &Finding| {
            refused.is_some()
                && match verifies {
                    Verifies::Chain => !finding.kind.is_remark(),
                    Verifies::Key => finding.kind.is_about_the_pin(),
                    Verifies::Nothing => false,
                }
        };
        let (faults, remarks): (Vec<_>, Vec<_>) = found.into_iter().partition(counts);
        let remedies = remedies(endpoint, &chain, &faults);
        Ok(Report {
            chain,
            refused,
            tls,
            peer,
            endpoint: endpoint.escape_debug().to_string(),
            verifies,
            faults,
            remarks,
            remedies,
        })
    }

    fn verdict(&self) -> String {
        match (&self.refused, self.verifies) {
            (Some(error), _) => format!("no: {}", error.why()),
            (None, Verifies::Chain) => "yes".into(),
            (None, Verifies::Key) => "yes: its key is a pinned one, and nothing else was asked for".into(),
            (None, Verifies::Nothing) => "no, and nobody asked: insecure=yes takes anybody".into(),
        }
    }

    fn asked_for_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.asked_for_certificate)
    }

    pub(super) fn text(&self, chain: &[Entry]) -> String {
        let mut text = String::new();
        let mut rows = Vec::new();
        match &self.tls {
            Some(tls) => {
                let alpn = tls.alpn.as_deref().unwrap_or("none agreed on");
                rows.push(("version", tls.version.to_owned()));
                rows.push(("cipher", tls.cipher.to_owned()));
                rows.push(("alpn", alpn.to_owned()));
            }
            None => rows.push(("handshake", "it ended before it was done".to_owned())),
        }
        if self.asked_for_certificate() {
            let asked = "the server asks for one; certificate=FILE names it";
            rows.push(("client cert", asked.to_owned()));
        }
        rows.push(("verified", self.verdict()));
        // Without a connection there is no address to be told.
        let peer = self.peer.as_deref().unwrap_or(&self.endpoint);
        pages::lines(&mut text, &format!("server         {peer}"), &rows);
        pages::certificates(&mut text, chain);
        self.findings(&mut text, "what is wrong", &self.faults);
        let remarks = match (&self.refused, self.verifies) {
            (None, Verifies::Nothing) | (_, Verifies::Key) => "what was not asked for",
            _ => "worth knowing",
        };
        self.findings(&mut text, remarks, &self.remarks);
        // Writing to a String cannot fail.
        if !self.remedies.is_empty() {
            text.push_str("\nwhat would make it acceptable\n");
        }
        for remedy in &self.remedies {
            let _ = writeln!(text, "  {}\n    {}", remedy.endpoint, remedy.cost);
        }
        text
    }

    fn findings(&self, text: &mut String, heading: &str, findings: &[Finding]) {
        if findings.is_empty() {
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{heading}");
        for finding in findings {
            let number = finding.place + 1;
            let subject = self.subject(finding);
            let _ = writeln!(text, "  certificate {number}, {subject}: {}", finding.why);
            if let Some(help) = &finding.help {
                let _ = writeln!(text, "    {help}");
            }
        }
    }

    fn subject(&self, finding: &Finding) -> String {
        let subject = self.chain.get(finding.place).map(|der| inspect::subject(der));
        match subject.filter(|subject| !subject.is_empty()) {
            Some(subject) => format!("`{subject}`"),
            None => "without a subject".into(),
        }
    }

    pub(super) fn json(&self, chain: &[Entry]) -> Value {
        let finding = |finding: &Finding, refused: bool| {
            json!({
                "kind": finding.kind.name(),
                "refused": refused,
                "certificate": finding.place + 1,
                "subject": self.chain.get(finding.place).map(|der| inspect::subject(der)),
                "why": finding.why,
                "help": finding.help,
            })
        };
        let faults = self.faults.iter().map(|fault| finding(fault, true));
        let remarks = self.remarks.iter().map(|remark| finding(remark, false));
        let remedies = self
            .remedies
            .iter()
            .map(|remedy| json!({ "endpoint": remedy.endpoint, "cost": remedy.cost }));
        json!({
            "certificates": chain.iter().map(pages::certificate_json).collect::<Vec<_>>(),
            "peer": self.peer,
            "version": self.tls.as_ref().map(|tls| tls.version),
            "cipher": self.tls.as_ref().map(|tls| tls.cipher),
            "alpn": self.tls.as_ref().and_then(|tls| tls.alpn.as_deref()),
            "client_certificate_asked_for": self.asked_for_certificate(),
            "verified": self.refused.is_none() && self.verifies != Verifies::Nothing,
            "reason": self.refused.as_ref().map(Error::why),
            "help": self.refused.as_ref().and_then(Error::help_text),
            "findings": faults.chain(remarks).collect::<Vec<_>>(),
            "remedies": remedies.collect::<Vec<_>>(),
        })
    }
}
