//! Whether a client is one that is let in: by the roots that were named, or because its very certificate was.
//! Absent: servers, and words for what is wrong.

use std::borrow::Cow;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

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
        let by_roots = by_roots(&given.valid(UnixTime::now()), required)?;
        let algorithms = provider().signature_verification_algorithms;
        Ok(Arc::new(ClientVerifier {
            by_roots,
            given,
            required,
            algorithms,
        }))
    }
}

/// `None` where there are no roots.
fn by_roots(
    roots: &RootCertStore,
    required: bool,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, VerifierBuilderError> {
    if roots.is_empty() {
        return Ok(None);
    }
    let roots = Arc::new(roots.clone());
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider()));
    let builder = match required {
        true => builder,
        false => builder.allow_unauthenticated(),
    };
    builder.build().map(Some)
}

impl ClientCertVerifier for ClientVerifier {
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // A root may have come to its end while this server ran.
        let fewer = match self.given.valid(now) {
            Cow::Borrowed(_) => None,
            Cow::Owned(valid) => Some(by_roots(&valid, self.required).unwrap_or_default()),
        };
        let judged = match fewer.as_ref().unwrap_or(&self.by_roots) {
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
