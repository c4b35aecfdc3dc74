//! Certificates made on the spot: the texts of tables name Secrets, not bytes, so they may differ from run to run.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::compile::certificate::from_secret;
use portcullis::snapshot::Secret;
use portcullis::table::Certificate;
use rcgen::{CertificateParams, KeyPair};

/// `tls.crt` and `tls.key` as a Secret's `data` holds them.
type Encoded = (String, String);

static MADE: LazyLock<Mutex<HashMap<String, Encoded>>> = LazyLock::new(Mutex::default);

/// One certificate for each list of names, so that `{{crt:a.test}}` and `{{key:a.test}}` belong together.
fn certificate(names: &str) -> Encoded {
    let make = || {
        let list: Vec<String> = names.split(',').map(str::to_owned).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(list).unwrap().self_signed(&key).unwrap();
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
