//! Distinguished names as nginx writes them: RFC 2253, last part first, with OpenSSL's short names.

use std::fmt::Write as _;

use x509_parser::asn1_rs::{Any, Class, Tag, ToDer as _};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Object identifiers with OpenSSL's short names. Parts with others are written as numbers.
const SHORT: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.45", "x500UniqueIdentifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.72", "role"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.2.840.113549.1.9.2", "unstructuredName"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
];

/// The text of a name; ASCII without control characters.
pub fn text(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    let mut parts: Vec<Vec<&AttributeTypeAndValue<'_>>> = name.iter_rdn().map(|rdn| rdn.iter().collect()).collect();
    parts.reverse();
    for (number, mut part) in parts.into_iter().enumerate() {
        out.push_str(if number == 0 { "" } else { "," });
        part.reverse();
        for (number, attribute) in part.into_iter().enumerate() {
            out.push_str(if number == 0 { "" } else { "+" });
            push(attribute, &mut out);
        }
    }
    out
}

fn push(attribute: &AttributeTypeAndValue<'_>, out: &mut String) {
    let oid = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(known, _)| *known == oid).map(|(_, short)| *short);
    out.push_str(short.unwrap_or(&oid));
    out.push('=');
    let value = attribute.attr_value();
    match characters(value).filter(|_| short.is_some()) {
        Some(text) => escape(&text, out),
        None => dump(value, out),
    }
}

/// The characters of a string type; `None` for other types.
fn characters(value: &Any<'_>) -> Option<String> {
    let bytes = value.data;
    let utf16 = || {
        let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_be_bytes));
        char::decode_utf16(units).collect::<Result<String, _>>().ok()
    };
    let utf32 = || {
        let units = bytes.chunks_exact(4).filter_map(|four| four.try_into().ok().map(u32::from_be_bytes));
        units.map(char::from_u32).collect::<Option<String>>()
    };
    if value.class() != Class::Universal {
        return None;
    }
    match value.tag() {
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::NumericString | Tag::PrintableString | Tag::T61String | Tag::Ia5String | Tag::VisibleString => {
            Some(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
        Tag::BmpString => utf16(),
        Tag::UniversalString => utf32(),
        _ => None,
    }
}

/// RFC 2253 §2.4; what is no printable ASCII is written as its UTF-8 bytes.
fn escape(text: &str, out: &mut String) {
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        let special =
            b",+\"\\<>;".contains(&byte) || (at == 0 && matches!(byte, b'#' | b' ')) || (at == last && byte == b' ');
        // Writing to a String cannot fail.
        let _ = match byte {
            0x20..=0x7e if special => write!(out, "\\{}", char::from(byte)),
            0x20..=0x7e => write!(out, "{}", char::from(byte)),
            _ => write!(out, "\\{byte:02X}"),
        };
    }
}

/// `#` and the value's DER in hex (RFC 2253 §2.4).
fn dump(value: &Any<'_>, out: &mut String) {
    out.push('#');
    for byte in value.to_der_vec_raw().or_else(|_| value.to_der_vec()).unwrap_or_default() {
        let _ = write!(out, "{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    #[test]
    fn names() {
        let rows: [(&[(DnType, DnValue)], &str); 4] = [
            (
                &[
                    (DnType::OrganizationName, "Parity".into()),
                    (DnType::OrganizationalUnitName, "team-a".into()),
                    (DnType::CommonName, "alice".into()),
                ],
                "CN=alice,OU=team-a,O=Parity",
            ),
            (&[(DnType::CommonName, " #a,b+c\"d\\e<f>g; ".into())], "CN=\\ #a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;\\ "),
            (&[(DnType::CommonName, "#é\n".into()), (DnType::CountryName, "CH".into())], "C=CH,CN=\\#\\C3\\A9\\0A"),
            (&[(DnType::CustomDnType(vec![1, 2, 3, 4]), "x".into())], "1.2.3.4=#0C0178"),
        ];
        for (parts, expected) in rows {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, value) in parts {
                params.distinguished_name.push(kind.clone(), value.clone());
            }
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
            assert_eq!(super::text(parsed.subject()), expected);
        }
    }
}
