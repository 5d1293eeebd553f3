//! TLS with the programs that others run: a file for each, in both directions, with and without client certificates.
//! Absent: the programs. A test of one that is not installed is skipped with a word on standard error, and fails where
//! `NETKIT_INTEROP=required` says that it has to be there.

mod curl;
mod gnutls;
mod haproxy;
mod ncat;
mod openssl;
mod sessions;
mod sslscan;
mod stunnel;
mod twisted;
mod x509;
