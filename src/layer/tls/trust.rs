//! Whether a server is who it should be: by its chain and its name, or by its key alone.
//! Absent: clients, and words for what is wrong.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tracing::warn;

use super::config::provider;
use super::doctor::Seen;
use super::platform::{self, platform};
use crate::cert::chain::{self, Finding};
use crate::cert::local::Store;
use crate::cert::{Name, Pin, inspect};

/// Whom a client believes.
#[derive(Debug)]
pub(super) enum Believe {
    /// The platform's roots and, for the names of this machine alone, its local authority.
    Platform(Option<Store>),
    /// These roots, and the certificates among them themselves.
    Roots(Given),
    /// Whoever has one of these keys.
    Pins(Vec<Pin>),
    /// Anybody.
    Anybody,
    /// Anybody, whether they have the key that they show or not: this is to look at them, and to say nothing.
    Looking(Seen),
}

/// Roots that the user named.
#[derive(Debug)]
pub(super) struct Given {
    store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
    /// When all of its authorities are in their time, in seconds since 1970.
    all_valid: RangeInclusive<i64>,
}

impl Given {
    /// `None` where there is no certificate that can be believed.
    ///
    /// Only authorities become roots: a root vouches for others without being asked whether it may, and somebody's
    /// own certificate that was named is believed itself and lends its trust to nobody.
    pub(super) fn new(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let authorities: Vec<_> = certificates
            .iter()
            .filter(|known| inspect::is_authority(known))
            .cloned()
            .collect();
        let from = authorities
            .iter()
            .filter_map(|known| inspect::not_before(known))
            .max();
        let to = authorities
            .iter()
            .filter_map(|known| inspect::not_after(known))
            .min();
        let believable = certificates
            .iter()
            .any(|known| ParsedCertificate::try_from(known).is_ok());
        believable.then_some(Given {
            store: store(&authorities),
            certificates,
            all_valid: from.unwrap_or(i64::MIN)..=to.unwrap_or(i64::MAX),
        })
    }

    /// The roots that are in their time. That of a root is not looked at when a chain is verified, as if who named it
    /// had meant for ever.
    pub(super) fn valid(&self, now: UnixTime) -> Cow<'_, RootCertStore> {
        if self.all_valid.contains(&(now.as_secs() as i64)) {
            return Cow::Borrowed(&self.store);
        }
        let authorities = self
            .certificates
            .iter()
            .filter(|known| inspect::is_authority(known));
        let valid = authorities.filter(|known| dates(known, now).is_ok());
        Cow::Owned(store(&valid.cloned().collect::<Vec<_>>()))
    }

    /// Whether it is among those that were named; then it need not be fit to vouch for itself.
    pub(super) fn names(&self, leaf: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|known| known == leaf)
    }
}

fn store(certificates: &[CertificateDer<'static>]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates.iter().cloned());
    store
}

/// What is known of somebody who was refused.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) subject: String,
    pub(super) pin: Option<Pin>,
    pub(super) names: Vec<Name>,
    /// What speaks against it, each with whose certificate it is and who issued that.
    pub(super) faults: Vec<(Finding, String, String)>,
    /// Why the platform, which was asked, has no roots at all.
    pub(super) no_roots: Option<&'static str>,
}

thread_local! {
    /// Set by a verifier on this thread, taken in the same poll of the same handshake.
    static REFUSED: Cell<Option<Box<Refused>>> = const { Cell::new(None) };
}

/// Leaves what is known of somebody for the words that say why they were refused.
pub(super) fn leave_refused(refused: Refused) {
    REFUSED.set(Some(Box::new(refused)));
}

pub(super) fn take_refused() -> Option<Box<Refused>> {
    REFUSED.take()
}

/// Verifies servers.
#[derive(Debug)]
pub(super) struct Verifier {
    believe: Believe,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(believe: Believe) -> Arc<Self> {
        let algorithms = provider().signature_verification_algorithms;
        Arc::new(Verifier { believe, algorithms })
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let by = |roots: &RootCertStore| self.chain_and_name(roots, leaf, between, name, now);
        match &self.believe {
            Believe::Anybody => Ok(()),
            Believe::Looking(seen) => {
                seen.put(leaf, between);
                Ok(())
            }
            Believe::Pins(pins) => match Pin::of(leaf) {
                Some(pin) if pins.contains(&pin) => Ok(()),
                Some(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
                None => Err(CertificateError::BadEncoding.into()),
            },
            Believe::Roots(given) if given.names(leaf) => {
                dates(leaf, now)?;
                verify_server_name(&ParsedCertificate::try_from(leaf)?, name)
            }
            Believe::Roots(given) => by(&given.valid(now)),
            Believe::Platform(local) => {
                if is_of_this_machine(name)
                    && let Some(authority) = local.as_ref().and_then(believed)
                {
                    match by(&store(&[authority])) {
                        Ok(()) => return Ok(()),
                        // Somebody else vouches, or a namesake: perhaps one that the platform knows.
                        Err(Error::InvalidCertificate(
                            CertificateError::UnknownIssuer | CertificateError::BadSignature,
                        )) => {}
                        Err(error) => return by(&platform().roots).map_err(|_| error),
                    }
                }
                by(&platform().roots)
            }
        }
    }

    /// What speaks against somebody whose chain was looked at. A handshake that fails may take its time.
    fn faults(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Vec<(Finding, String, String)> {
        let roots = match &self.believe {
            Believe::Roots(given) => given.certificates.clone(),
            Believe::Platform(local) => {
                let ours = local.as_ref().filter(|_| is_of_this_machine(name));
                let ours = ours.and_then(believed);
                platform::certificates().into_iter().chain(ours).collect()
            }
            Believe::Pins(_) | Believe::Anybody | Believe::Looking(_) => return Vec::new(),
        };
        let chain: Vec<_> = [leaf].into_iter().chain(between).cloned().collect();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let found = chain::examine(&chain, &roots, name.to_str().parse().ok().as_ref(), now);
        let faults = found.into_iter().filter(|finding| !finding.kind.is_remark());
        let with_names = faults.filter_map(|finding| {
            let certificate = chain.get(finding.place)?;
            let names = (inspect::subject(certificate), inspect::issuer(certificate));
            Some((finding, names.0, names.1))
        });
        with_names.collect()
    }

    fn chain_and_name(
        &self,
        roots: &RootCertStore,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let leaf = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(&leaf, roots, between, now, self.algorithms.all)?;
        verify_server_name(&leaf, name)
    }
}

/// Remembers that a key is too weak to prove anything, which is why its signature is not taken.
fn weak(leaf: &CertificateDer<'_>) {
    let leaf = std::slice::from_ref(leaf);
    let found = chain::examine(leaf, leaf, None, 0);
    let faults = found
        .into_iter()
        .filter(|finding| finding.kind == chain::Kind::WeakKey);
    leave_refused(Refused {
        faults: faults
            .map(|fault| (fault, String::new(), String::new()))
            .collect(),
        ..Refused::default()
    });
}

/// The certificate of the local authority, if it is safe to believe.
pub(super) fn believed(store: &Store) -> Option<CertificateDer<'static>> {
    store.certificate().unwrap_or_else(|fault| {
        warn!("passed over for trust: {}", fault.in_full());
        None
    })
}

/// The local authority is asked about nothing else, whatever it may have vouched for.
fn is_of_this_machine(name: &ServerName<'_>) -> bool {
    name.to_str().parse::<Name>().is_ok_and(|name| name.is_loopback())
}

/// Whether it is the time for a certificate.
pub(super) fn dates(leaf: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let now = now.as_secs() as i64;
    match (inspect::not_before(leaf), inspect::not_after(leaf)) {
        (Some(start), _) if now < start => Err(CertificateError::NotValidYet.into()),
        (_, Some(end)) if now > end => Err(CertificateError::Expired.into()),
        (Some(_), Some(_)) => Ok(()),
        _ => Err(CertificateError::BadEncoding.into()),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.judge(leaf, between, name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => {
                leave_refused(Refused {
                    subject: inspect::subject(leaf),
                    pin: Pin::of(leaf),
                    names: inspect::names(leaf),
                    faults: self.faults(leaf, between, name, now),
                    no_roots: match self.believe {
                        Believe::Platform(_) => platform().none.as_deref(),
                        _ => None,
                    },
                });
                Err(error)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.believe {
            Believe::Looking(_) => Ok(HandshakeSignatureValid::assertion()),
            _ => {
                verify_tls12_signature(message, leaf, signature, &self.algorithms).inspect_err(|_| weak(leaf))
            }
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.believe {
            Believe::Looking(_) => Ok(HandshakeSignatureValid::assertion()),
            _ => {
                verify_tls13_signature(message, leaf, signature, &self.algorithms).inspect_err(|_| weak(leaf))
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::issue::{Leaf, Validity};

    fn judge(verifier: &Verifier, leaf: &CertificateDer<'_>, name: &str) -> Result<(), Error> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.judge(leaf, &[], &name, UnixTime::now())
    }

    #[test]
    fn the_local_authority_vouches_for_this_machine_and_for_no_other_name() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::at(home.path());
        let authority = store.authority().unwrap();
        let zero_flags = Verifier::new(Believe::Platform(Some(store)));
        // Somebody who trusts the authority for everything, as `curl --cacert` would.
        let root = authority.identity().chain.clone();
        let everywhere = Verifier::new(Believe::Roots(Given::new(root).unwrap()));

        let ours = authority
            .issue(&Leaf::server(Name::of_this_machine(), Validity::days(1)))
            .unwrap();
        for name in ["localhost", "127.0.0.1", "::1"] {
            judge(&zero_flags, &ours.chain[0], name).unwrap();
            judge(&everywhere, &ours.chain[0], name).unwrap();
        }
        for name in ["example.com", "localhost.example.com", "192.0.2.1", "::2"] {
            // Its key signs whatever it is given; nobody believes it.
            let names = vec![name.parse::<Name>().unwrap(), "localhost".parse().unwrap()];
            let theirs = authority.issue(&Leaf::server(names, Validity::days(1))).unwrap();
            for verifier in [&zero_flags, &everywhere] {
                judge(verifier, &theirs.chain[0], name).unwrap_err();
                // Not for the name either that it might have vouched for: the whole certificate is void.
                judge(verifier, &theirs.chain[0], "localhost").unwrap_err();
            }
            judge(&zero_flags, &ours.chain[0], name).unwrap_err();
        }
    }

    #[test]
    fn a_named_certificate_is_believed_itself_within_its_dates_and_for_its_names() {
        let make = |days: (i64, i64)| {
            let now = time::OffsetDateTime::now_utc();
            let validity = Validity {
                not_before: now + time::Duration::days(days.0),
                not_after: now + time::Duration::days(days.1),
            };
            let leaf = Leaf::server(["a.example".parse().unwrap()], validity);
            let identity = crate::cert::issue::self_signed(&leaf).unwrap();
            let given = Given::new(identity.chain.clone()).unwrap();
            (Verifier::new(Believe::Roots(given)), identity.chain[0].clone())
        };
        let (verifier, leaf) = make((-1, 1));
        judge(&verifier, &leaf, "a.example").unwrap();
        judge(&verifier, &leaf, "b.example").unwrap_err();
        let pinned = |certificate| Verifier::new(Believe::Pins(vec![Pin::of(certificate).unwrap()]));
        let (expired, old) = make((-2, -1));
        assert_eq!(
            judge(&expired, &old, "a.example").unwrap_err(),
            CertificateError::Expired.into()
        );
        judge(&pinned(&old), &old, "b.example").unwrap();
        judge(&pinned(&old), &leaf, "a.example").unwrap_err();
        let (early, new) = make((1, 2));
        assert_eq!(
            judge(&early, &new, "a.example").unwrap_err(),
            CertificateError::NotValidYet.into()
        );
        judge(&Verifier::new(Believe::Anybody), &old, "b.example").unwrap();
        judge(&Verifier::new(Believe::Platform(None)), &leaf, "a.example").unwrap_err();
    }

    #[test]
    fn a_named_certificate_vouches_for_nobody_else() {
        let leaf = |name: &str| Leaf::server([name.parse().unwrap()], Validity::days(1));
        let alice = crate::cert::issue::self_signed(&leaf("a.example")).unwrap();
        let verifier = Verifier::new(Believe::Roots(Given::new(alice.chain.clone()).unwrap()));
        judge(&verifier, &alice.chain[0], "a.example").unwrap();
        assert!(!inspect::is_authority(&alice.chain[0]));
        let Believe::Roots(given) = &verifier.believe else {
            panic!("no roots")
        };
        assert!(given.store.is_empty(), "a leaf became a root");
    }

    #[test]
    fn a_root_is_believed_in_its_time_alone() {
        use crate::cert::issue::Authority;
        let now = time::OffsetDateTime::now_utc();
        let validity = |from: i64, to: i64| Validity {
            not_before: now + time::Duration::days(from),
            not_after: now + time::Duration::days(to),
        };
        let make = |name: &str, validity| {
            Authority::new(name, &[], crate::cert::KeyType::EcdsaP256, validity).unwrap()
        };
        let (old, good) = (make("old", validity(-9, -1)), make("good", validity(-9, 9)));
        let roots = [&old, &good].map(|authority| authority.identity().chain[0].clone());
        let verifier = Verifier::new(Believe::Roots(Given::new(roots.into()).unwrap()));
        let leaf = Leaf::server(["a.example".parse().unwrap()], Validity::days(1));
        for (authority, believed) in [(&old, false), (&good, true)] {
            let theirs = authority.issue(&leaf).unwrap();
            assert_eq!(judge(&verifier, &theirs.chain[0], "a.example").is_ok(), believed);
        }
    }

    #[test]
    fn a_namesake_of_the_local_authority_does_not_stand_in_the_way_of_the_platform() {
        let home = tempfile::tempdir().unwrap();
        let ours = Store::at(&home.path().join("ours"));
        ours.authority().unwrap();
        let namesake = Store::at(&home.path().join("theirs")).authority().unwrap();
        let theirs = namesake
            .issue(&Leaf::server(Name::of_this_machine(), Validity::days(1)))
            .unwrap();
        let verifier = Verifier::new(Believe::Platform(Some(ours)));
        // The platform does not know it either; what is said is the platform's answer.
        assert_eq!(
            judge(&verifier, &theirs.chain[0], "localhost").unwrap_err(),
            CertificateError::UnknownIssuer.into()
        );
    }

    #[test]
    fn an_authority_for_names_of_one_kind_vouches_for_none_of_another() {
        use crate::cert::issue::{Authority, Permit};
        let key_type = crate::cert::KeyType::EcdsaP256;
        for (permit, good, bad) in [
            (Permit::Dns("a.example".into()), "a.example", "192.0.2.1"),
            (
                Permit::Network("192.0.2.1".parse().unwrap(), 32),
                "192.0.2.1",
                "a.example",
            ),
        ] {
            let authority = Authority::new("test", &[permit], key_type, Validity::days(1)).unwrap();
            let verifier = Verifier::new(Believe::Roots(
                Given::new(authority.identity().chain.clone()).unwrap(),
            ));
            for (name, believed) in [(good, true), (bad, false)] {
                let theirs = authority
                    .issue(&Leaf::server([name.parse().unwrap()], Validity::days(1)))
                    .unwrap();
                assert_eq!(
                    judge(&verifier, &theirs.chain[0], name).is_ok(),
                    believed,
                    "{name}"
                );
            }
        }
    }
}
