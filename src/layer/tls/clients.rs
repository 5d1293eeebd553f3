//! Whether a client is one that is let in: by the roots that were named, or because its very certificate was.
//! Absent: servers, and words for what is wrong.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::config::provider;
use super::trust::{Given, Refused, dates, leave_refused};
use crate::cert::inspect;

/// Verifies clients: by roots, or because their very certificate was named.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    /// `None` where only certificates themselves were named.
    by_roots: Option<Arc<dyn ClientCertVerifier>>,
    given: Given,
    required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    pub(super) fn new(given: Given, required: bool) -> Result<Arc<Self>, VerifierBuilderError> {
        let by_roots = if given.store.is_empty() {
            None
        } else {
            let roots = Arc::new(given.store.clone());
            let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider()));
            let builder = if required {
                builder
            } else {
                builder.allow_unauthenticated()
            };
            Some(builder.build()?)
        };
        let algorithms = provider().signature_verification_algorithms;
        Ok(Arc::new(ClientVerifier {
            by_roots,
            given,
            required,
            algorithms,
        }))
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judged = match &self.by_roots {
            _ if self.given.names(leaf) => dates(leaf, now).map(|()| ClientCertVerified::assertion()),
            Some(by_roots) => by_roots.verify_client_cert(leaf, between, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        judged.inspect_err(|_| {
            leave_refused(Refused {
                subject: inspect::subject(leaf),
                ..Refused::default()
            });
        })
    }

    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.by_roots
            .as_ref()
            .map_or(&[], |by_roots| by_roots.root_hint_subjects())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::issue::{Leaf, Validity, self_signed};

    #[test]
    fn a_named_certificate_lets_itself_in_and_nobody_else() {
        let make = || {
            let leaf = Leaf::server(["a.example".parse().unwrap()], Validity::days(1));
            self_signed(&leaf).unwrap().chain
        };
        let (alice, mallory) = (make(), make());
        let verifier = ClientVerifier::new(Given::new(alice.clone()).unwrap(), true).unwrap();
        assert!(verifier.client_auth_mandatory());
        let now = UnixTime::now();
        verifier.verify_client_cert(&alice[0], &[], now).unwrap();
        verifier.verify_client_cert(&mallory[0], &[], now).unwrap_err();
        verifier.verify_client_cert(&mallory[0], &alice, now).unwrap_err();
    }
}
