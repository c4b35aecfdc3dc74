//! Certificates made on the spot: the texts of tables name Secrets, not bytes, so they may differ from run to run.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::compile::certificate::from_secret;
use portcullis::snapshot::Secret;
use portcullis::table::Certificate;
use rcgen::{CertificateParams, DnType, KeyPair};

/// `tls.crt` and `tls.key` as a Secret's `data` holds them.
type Encoded = (String, String);

static MADE: LazyLock<Mutex<HashMap<String, Encoded>>> = LazyLock::new(Mutex::default);

/// One certificate for each list of names (`cn=` marks the common name), so that `{{crt:a.test}}` and `{{key:a.test}}` belong together.
fn certificate(names: &str) -> Encoded {
    let make = || {
        let (common, list): (Vec<&str>, Vec<&str>) = names.split(',').partition(|name| name.starts_with("cn="));
        let list: Vec<String> = list.into_iter().map(str::to_owned).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(list).unwrap();
        for name in common {
            params.distinguished_name.push(DnType::CommonName, &name[3..]);
        }
        let certificate = params.self_signed(&key).unwrap();
        (STANDARD.encode(certificate.pem()), STANDARD.encode(key.serialize_pem()))
    };
    MADE.lock().unwrap().entry(names.to_owned()).or_insert_with(make).clone()
}

/// Replaces `{{crt:names}}` and `{{key:names}}`.
pub fn fill(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (what, tail) = after.split_once("}}").unwrap_or_default();
        out.push_str(before);
        match what.split_once(':') {
            Some(("crt", names)) => out.push_str(&certificate(names).0),
            Some(("key", names)) => out.push_str(&certificate(names).1),
            _ => panic!("no placeholder: {what}"),
        }
        rest = tail;
    }
    out + rest
}

/// What a host shows that has no certificate of its own.
pub fn generated() -> Arc<Certificate> {
    let (crt, key) = certificate("ingress.local");
    let data = [("tls.crt", crt), ("tls.key", key)].map(|(k, v)| (k.to_owned(), STANDARD.decode(v).unwrap()));
    let certificate = from_secret(&Secret { data: data.into(), ..Secret::default() }).unwrap();
    Arc::new(Certificate { secret: "".into(), ..certificate })
}
