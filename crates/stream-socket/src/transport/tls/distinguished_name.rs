//! Names in certificates as text, which can be told apart: [RFC 4514].
//!
//! [RFC 4514]: https://www.rfc-editor.org/rfc/rfc4514

use std::fmt::Write;

use x509_parser::asn1_rs::ToDer;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate, X509Name};

/// The subject and the issuer of a certificate, each with its most specific part first.
pub(crate) fn subject_and_issuer(der: &[u8]) -> Option<(String, String)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some((text(certificate.subject()), text(certificate.issuer())))
}

/// The common name that a certificate is for, where it has one that is text.
pub(crate) fn common_name(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

fn text(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let parts = parts.into_iter().rev().map(|part| {
        let attributes: Vec<String> = part.iter().map(attribute).collect();
        attributes.join("+")
    });
    parts.collect::<Vec<_>>().join(",")
}

/// `CN=example.org`, or in numbers, where the type or the value has no name or text.
fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = attribute.attr_type();
    match (oid2abbrev(kind, oid_registry()), attribute.as_str()) {
        (Ok(kind), Ok(value)) => format!("{kind}={}", escaped(value)),
        _ => {
            let bytes = attribute.attr_value().to_der_vec().unwrap_or_default();
            bytes.iter().fold(format!("{kind}=#"), |mut text, byte| {
                _ = write!(text, "{byte:02x}");
                text
            })
        }
    }
}

/// Section 2.4. What drives terminals is escaped besides.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        let is_first = at == 0;
        let is_last = at + c.len_utf8() == value.len();
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', c]),
            '#' if is_first => text.push_str("\\#"),
            ' ' if is_first || is_last => text.push_str("\\ "),
            c if c.is_ascii_control() => _ = write!(text, "\\{:02X}", u32::from(c)),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_names_can_not_stand_in_one() {
        for (value, expected) in [
            ("example.org", "example.org"),
            ("a,O=Admin", "a\\,O=Admin"),
            ("a+b\\", "a\\+b\\\\"),
            ("#1 ", "\\#1\\ "),
            (" ", "\\ "),
            ("a\n\0é", "a\\0A\\00é"),
        ] {
            assert_eq!(escaped(value), expected, "{value:?}");
        }
    }
}
