//! Certificates by their fingerprint: the SHA-256 digest of their DER.

use std::fmt::{self, Write};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::unusable;
use crate::error::Result;

/// In hexadecimal, without colons.
pub(super) fn fingerprint(certificate: &[u8]) -> String {
    let mut text = String::with_capacity(2 * SHA256_OUTPUT_LEN);
    for byte in digest(&SHA256, certificate).as_ref() {
        _ = write!(text, "{byte:02x}");
    }
    text
}

/// As [`fingerprint`] writes it, from how people do.
pub(super) fn normal(url: &impl fmt::Display, text: &str) -> Result<String> {
    let normal: String = text.chars().filter(|c| *c != ':').collect();
    let is_digest = normal.len() == 2 * SHA256_OUTPUT_LEN
        && normal.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        return Ok(normal.to_ascii_lowercase());
    }
    let why = "is no SHA-256 digest in hexadecimal";
    Err(unusable(
        url,
        format_args!("option fingerprint: {text:?} {why}"),
    ))
}
