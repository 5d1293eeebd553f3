//! Making certificates: self-signed ones, authorities, and what an authority issues.
//! Absent: files.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use pkcs8::{PrivateKeyInfoRef, SecretDocument};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CidrSubnet, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
    RsaKeySize, SanType, SubjectPublicKeyInfo,
};
use time::OffsetDateTime;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::{Fault, Identity, KeyType, Name, PrivateKeyDer, inspect};

/// Clocks differ: a certificate is valid from a little before it was made.
const SKEW: Duration = Duration::from_secs(3600);

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: OffsetDateTime,
    /// The last moment.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// From now on for so many days.
    #[must_use]
    pub fn days(days: u32) -> Self {
        let now = OffsetDateTime::now_utc();
        // A few thousand years fit; `u32` days may not.
        let not_after = now
            .checked_add(time::Duration::days(i64::from(days)))
            .unwrap_or(now);
        Validity {
            not_before: now - SKEW,
            not_after,
        }
    }
}

/// What a leaf is to be.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// What it is good for.
    pub names: Vec<Name>,
    /// The kind of its key.
    pub key_type: KeyType,
    /// From when until when.
    pub validity: Validity,
    /// For a client rather than a server.
    pub client: bool,
}

impl Leaf {
    /// A server's certificate with a key that everyone takes.
    #[must_use]
    pub fn server(names: impl Into<Vec<Name>>, validity: Validity) -> Self {
        Leaf {
            names: names.into(),
            key_type: KeyType::EcdsaP256,
            validity,
            client: false,
        }
    }

    fn params(&self) -> Result<CertificateParams, Fault> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(first) = self.names.first() {
            // RFC 5280, appendix A.1: a common name has at most 64 characters.
            let common: String = first.to_string().chars().take(64).collect();
            params.distinguished_name.push(DnType::CommonName, common);
        }
        params.subject_alt_names = self.names.iter().map(alt_name).collect::<Result<_, _>>()?;
        params.not_before = self.validity.not_before;
        params.not_after = self.validity.not_after;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if matches!(
            self.key_type,
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096
        ) {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![if self.client {
            ExtendedKeyUsagePurpose::ClientAuth
        } else {
            ExtendedKeyUsagePurpose::ServerAuth
        }];
        Ok(params)
    }
}

fn alt_name(name: &Name) -> Result<SanType, Fault> {
    let text = |text: &String| {
        text.as_str()
            .try_into()
            .map_err(|_| Fault::new(format!("`{text}` is not ASCII")))
    };
    Ok(match name {
        Name::Dns(name) => SanType::DnsName(text(name)?),
        Name::Ip(address) => SanType::IpAddress(*address),
        Name::Mail(address) => SanType::Rfc822Name(text(address)?),
        Name::Uri(uri) => SanType::URI(text(uri)?),
    })
}

/// A certificate that vouches for itself.
///
/// # Errors
/// A name cannot stand in a certificate, or the key could not be made.
pub fn self_signed(leaf: &Leaf) -> Result<Identity, Fault> {
    self_signed_for(leaf, key_pair(leaf.key_type)?)
}

/// The same for a key that is there already.
///
/// # Errors
/// A name cannot stand in a certificate, or the key is damaged.
pub fn self_signed_again(leaf: &Leaf, key: &PrivateKeyDer<'_>) -> Result<Identity, Fault> {
    self_signed_for(leaf, KeyPair::try_from(key).map_err(fault)?)
}

fn self_signed_for(leaf: &Leaf, key: KeyPair) -> Result<Identity, Fault> {
    let certificate = leaf.params()?.self_signed(&key).map_err(fault)?;
    Ok(identity(vec![certificate.into()], &key))
}

/// What an authority may vouch for: nothing else where there is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// A host name and what is below it.
    Dns(String),
    /// Addresses that begin with so many bits of this one.
    Network(IpAddr, u8),
}

impl Permit {
    /// The names and addresses of this machine as it sees itself.
    #[must_use]
    pub fn loopback() -> [Permit; 3] {
        [
            Permit::Dns("localhost".into()),
            Permit::Network(Ipv4Addr::new(127, 0, 0, 0).into(), 8),
            Permit::Network(Ipv6Addr::LOCALHOST.into(), 128),
        ]
    }
}

/// A key that vouches for others.
#[derive(Debug, Clone)]
pub struct Authority(Identity);

impl Authority {
    /// A new authority, for servers within `permits` only where there are any, and for no further authority.
    ///
    /// # Errors
    /// The key could not be made.
    pub fn new(name: &str, permits: &[Permit], key_type: KeyType, validity: Validity) -> Result<Self, Fault> {
        let key = key_pair(key_type)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = validity.not_before;
        params.not_after = validity.not_after;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if !permits.is_empty() {
            let permitted_subtrees: Vec<_> = permits.iter().map(subtree).collect();
            let excluded_subtrees = other_kinds(&permitted_subtrees);
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees,
                excluded_subtrees,
            });
            // Names of other kinds, such as mail addresses, are ruled out with the uses that they have.
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
        let certificate = params.self_signed(&key).map_err(fault)?;
        Ok(Authority(identity(vec![certificate.into()], &key)))
    }

    /// An authority from its certificate and key.
    ///
    /// # Errors
    /// The certificate is not that of an authority, or the key is another's.
    pub fn from_identity(identity: Identity) -> Result<Self, Fault> {
        let certificate = identity
            .chain
            .first()
            .ok_or_else(|| Fault::new("there is no certificate"))?;
        let key = KeyPair::try_from(&identity.key).map_err(fault)?;
        if !inspect::is_authority(certificate) {
            return Err(Fault::new("the certificate is not that of an authority"));
        }
        let public = inspect::public_key(certificate).unwrap_or_default();
        if rcgen::PublicKeyData::subject_public_key_info(&key) != public {
            return Err(Fault::new("the private key does not belong to the certificate"));
        }
        Ok(Authority(identity))
    }

    /// Its certificate and key.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0
    }

    /// Issues a leaf. The chain holds the leaf alone: who trusts the authority has its certificate.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the key could not be made.
    pub fn issue(&self, leaf: &Leaf) -> Result<Identity, Fault> {
        self.issue_to(leaf, key_pair(leaf.key_type)?)
    }

    /// The same for a key that is there already, so that its pin stays what it was.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the key is damaged.
    pub fn issue_again(&self, leaf: &Leaf, key: &PrivateKeyDer<'_>) -> Result<Identity, Fault> {
        self.issue_to(leaf, KeyPair::try_from(key).map_err(fault)?)
    }

    fn issue_to(&self, leaf: &Leaf, key: KeyPair) -> Result<Identity, Fault> {
        let issuer = self.issuer()?;
        let certificate = leaf.params()?.signed_by(&key, &issuer).map_err(fault)?;
        Ok(identity(vec![certificate.into()], &key))
    }
}

impl Authority {
    /// Issues a certificate for a request, whose key and, where `names` is empty, whose names it takes. Whatever else
    /// the request asks for is not granted.
    ///
    /// # Errors
    /// The request is damaged, its signature wrong, or it has no names and none are given.
    pub fn issue_for(
        &self,
        request: &[u8],
        names: Vec<Name>,
        validity: Validity,
        client: bool,
    ) -> Result<super::CertificateDer<'static>, Fault> {
        let refused = |error| {
            Fault::new(match error {
                rcgen::Error::InvalidCertificationRequestSignature => {
                    "the signature of the request is wrong".to_owned()
                }
                error => format!("the request cannot be granted: {error}"),
            })
        };
        let asked = CertificateSigningRequestParams::from_der(&request.into()).map_err(refused)?;
        let key = requested_key(request).map_err(refused)?;
        let leaf = Leaf {
            client,
            ..Leaf::server(names, validity)
        };
        let mut params = leaf.params()?;
        if leaf.names.is_empty() {
            params.subject_alt_names = asked.params.subject_alt_names;
            params.distinguished_name = asked.params.distinguished_name;
        }
        if params.subject_alt_names.is_empty() {
            return Err(Fault::new("the request is for no name, and none is given"));
        }
        let issuer = self.issuer()?;
        Ok(params.signed_by(&key, &issuer).map_err(fault)?.into())
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, Fault> {
        let key = KeyPair::try_from(&self.0.key).map_err(fault)?;
        let certificate = self.0.chain.first();
        let certificate = certificate.ok_or_else(|| Fault::new("there is no certificate"))?;
        Issuer::from_ca_cert_der(certificate, key).map_err(fault)
    }
}

/// The key of a request, of the kind that it says it is. rcgen's own goes by the request's signature, and a key may
/// sign with any hash: one of P-384 that used SHA-256, as openssl's do, would be written down as one of P-256.
fn requested_key(request: &[u8]) -> Result<SubjectPublicKeyInfo, rcgen::Error> {
    let (_, request) = X509CertificationRequest::from_der(request)
        .map_err(|_| rcgen::Error::CouldNotParseCertificationRequest)?;
    SubjectPublicKeyInfo::from_der(request.certification_request_info.subject_pki.raw)
}

fn subtree(permit: &Permit) -> GeneralSubtree {
    match permit {
        Permit::Dns(name) => GeneralSubtree::DnsName(name.clone()),
        Permit::Network(address, bits) => {
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, *bits))
        }
    }
}

/// All names of the kinds that nothing is permitted of. A constraint binds only the kinds that it lists (RFC 5280,
/// section 4.2.1.10), so that an authority for a domain could otherwise vouch for any address.
fn other_kinds(permitted: &[GeneralSubtree]) -> Vec<GeneralSubtree> {
    let mut others = Vec::new();
    if !permitted
        .iter()
        .any(|subtree| matches!(subtree, GeneralSubtree::DnsName(_)))
    {
        others.push(GeneralSubtree::DnsName(String::new()));
    }
    if !permitted
        .iter()
        .any(|subtree| matches!(subtree, GeneralSubtree::IpAddress(_)))
    {
        for every in [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ] {
            others.push(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(every, 0)));
        }
    }
    others
}

fn key_pair(key_type: KeyType) -> Result<KeyPair, Fault> {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    match key_type {
        KeyType::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyType::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyType::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        KeyType::Rsa2048 => rsa(RsaKeySize::_2048),
        KeyType::Rsa3072 => rsa(RsaKeySize::_3072),
        KeyType::Rsa4096 => rsa(RsaKeySize::_4096),
    }
    .map_err(fault)
}

fn identity(chain: Vec<super::CertificateDer<'static>>, key: &KeyPair) -> Identity {
    let der = key.serialize_der();
    Identity {
        chain,
        key: PrivateKeyDer::Pkcs8(without_public_key(&der).unwrap_or(der).into()),
    }
}

/// The key in the first version of its form. The second, which repeats the public key, is not read by OpenSSL 3.0.
fn without_public_key(der: &[u8]) -> Option<Vec<u8>> {
    let mut info = PrivateKeyInfoRef::try_from(der).ok()?;
    info.public_key = None;
    Some(SecretDocument::encode_msg(&info).ok()?.as_bytes().to_vec())
}

fn fault(error: rcgen::Error) -> Fault {
    Fault::new(match error {
        rcgen::Error::CouldNotParseKeyPair | rcgen::Error::UnsupportedSignatureAlgorithm => {
            "the private key is damaged, or of a kind that is not known here".to_owned()
        }
        error => format!("the certificate could not be made: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert::Pin;

    #[test]
    fn a_leaf_is_good_for_its_names() {
        let names: Vec<Name> = ["a.example", "*.b.example", "::1", "me@c.example", "spiffe://d/e"]
            .iter()
            .map(|name| name.parse().unwrap())
            .collect();
        for (name, key_type) in KeyType::ALL {
            if name.starts_with("rsa") && key_type != KeyType::Rsa2048 {
                // Slow without optimisation, and no other code.
                continue;
            }
            let leaf = Leaf {
                key_type,
                ..Leaf::server(names.clone(), Validity::days(1))
            };
            let identity = self_signed(&leaf).unwrap();
            assert_eq!(inspect::names(&identity.chain[0]), names, "{name}");
            assert!(inspect::is_self_signed(&identity.chain[0]), "{name}");
            assert!(!inspect::is_authority(&identity.chain[0]), "{name}");
            assert!(Pin::of(&identity.chain[0]).is_some());
        }
    }

    #[test]
    fn an_authority_comes_back_from_its_parts_and_only_from_them() {
        let make = || Authority::new("ours", &[], KeyType::EcdsaP256, Validity::days(2)).unwrap();
        let (one, two) = (make(), make());
        let again = Authority::from_identity(one.identity().clone()).unwrap();
        let leaf = again
            .issue(&Leaf::server(Name::of_this_machine(), Validity::days(1)))
            .unwrap();
        assert_eq!(inspect::issuer(&leaf.chain[0]), "CN=ours");
        assert!(!inspect::is_self_signed(&leaf.chain[0]));
        let mixed = Identity {
            chain: one.identity().chain.clone(),
            key: two.identity().key.clone_key(),
        };
        assert!(
            Authority::from_identity(mixed)
                .unwrap_err()
                .why
                .contains("does not belong")
        );
        assert!(
            Authority::from_identity(leaf)
                .unwrap_err()
                .why
                .contains("not that of an authority")
        );
    }
}
