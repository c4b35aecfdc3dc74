//! A directory of manifests, and builders of their text. Scalars are written as JSON strings, which YAML reads as such.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::certs::Identity;
use super::upstream::Upstream;

/// The namespace of whatever names none.
pub const NAMESPACE: &str = "default";

/// The prefix of ingress-nginx's annotations.
pub const NGINX: &str = "nginx.ingress.kubernetes.io/";

/// A temporary directory of manifests, gone with the value.
pub struct Manifests(TempDir);

impl AsRef<Path> for Manifests {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

impl Default for Manifests {
    fn default() -> Self {
        Self::new()
    }
}

impl Manifests {
    /// A directory with the class `nginx` in it.
    pub fn new() -> Self {
        let manifests = Self::empty();
        manifests.write("class.yaml", &ingress_class("nginx", "k8s.io/ingress-nginx"));
        manifests
    }

    pub fn empty() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file as a whole: whoever watches the directory sees the old text or the new one.
    pub fn write(&self, file: &str, text: &str) -> &Self {
        let path = self.file(file);
        let hidden = self.file(&format!(".{file}.new"));
        std::fs::write(&hidden, text).expect("writing a manifest");
        std::fs::rename(&hidden, &path).expect("moving a manifest into place");
        self
    }

    pub fn remove(&self, file: &str) -> &Self {
        std::fs::remove_file(self.file(file)).expect("removing a manifest");
        self
    }

    /// Service and EndpointSlices of that name in the default namespace, with port 80 to these addresses.
    pub fn service(&self, name: &str, addrs: &[SocketAddr]) -> &Self {
        let text = format!("{}---\n{}", service(NAMESPACE, name), endpoint_slices(NAMESPACE, name, addrs));
        self.write(&format!("service-{name}.yaml"), &text)
    }

    /// [`Manifests::service`] for a running backend, by its name.
    pub fn upstream(&self, upstream: &Upstream) -> &Self {
        self.service(upstream.name(), &[upstream.addr()])
    }

    /// [`Manifests::service`] for the TLS side of a backend.
    pub fn upstream_tls(&self, upstream: &Upstream) -> &Self {
        self.service(upstream.name(), &[upstream.tls_addr()])
    }

    pub fn ingress(&self, ingress: &Ingress) -> &Self {
        self.write(&format!("ingress-{}-{}.yaml", ingress.namespace, ingress.name), &ingress.yaml())
    }

    pub fn tls_secret(&self, name: &str, identity: &Identity) -> &Self {
        let data = [("tls.crt", identity.cert_pem.as_str()), ("tls.key", identity.key_pem.as_str())];
        self.write(&format!("secret-{name}.yaml"), &secret(NAMESPACE, name, "kubernetes.io/tls", &data))
    }

    pub fn secret(&self, name: &str, data: &[(&str, &str)]) -> &Self {
        self.write(&format!("secret-{name}.yaml"), &secret(NAMESPACE, name, "Opaque", data))
    }

    pub fn config_map(&self, namespace: &str, name: &str, data: &[(&str, &str)]) -> &Self {
        self.write(&format!("configmap-{namespace}-{name}.yaml"), &config_map(namespace, name, data))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

/// A string as a YAML scalar.
pub fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

pub fn ingress_class(name: &str, controller: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata:\n  name: {}\nspec:\n  controller: {}\n",
        quote(name),
        quote(controller)
    )
}

/// A Service with port 80, named `http`; its target is the port of that name.
pub fn service(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\n{}spec:\n  type: ClusterIP\n  clusterIP: 10.0.0.1\n  ports:\n  \
         - name: http\n    port: 80\n    targetPort: http\n    protocol: TCP\n",
        metadata(namespace, name)
    )
}

/// The EndpointSlices of a Service, one for each port number: a slice has one set of ports for all its addresses.
pub fn endpoint_slices(namespace: &str, service: &str, addrs: &[SocketAddr]) -> String {
    let mut ports: Vec<u16> = addrs.iter().map(SocketAddr::port).collect();
    ports.sort_unstable();
    ports.dedup();
    let slices = ports.iter().map(|port| {
        let family = if addrs.iter().any(|a| a.is_ipv6()) { "IPv6" } else { "IPv4" };
        let mut text = format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n{}  labels:\n    kubernetes.io/service-name: {}\n\
             addressType: {family}\nports:\n- name: http\n  port: {port}\n  protocol: TCP\nendpoints:\n",
            metadata(namespace, &format!("{service}-{port}")),
            quote(service)
        );
        for addr in addrs.iter().filter(|a| a.port() == *port) {
            let _ = write!(text, "- addresses: [{}]\n  conditions: {{ready: true}}\n", quote(&addr.ip().to_string()));
        }
        text
    });
    slices.collect::<Vec<_>>().join("---\n")
}

pub fn secret(namespace: &str, name: &str, kind: &str, data: &[(&str, &str)]) -> String {
    let data = data.iter().fold(String::new(), |mut out, (key, value)| {
        let _ = writeln!(out, "  {}: {}", quote(key), quote(value));
        out
    });
    format!("apiVersion: v1\nkind: Secret\n{}type: {}\nstringData:\n{data}", metadata(namespace, name), quote(kind))
}

pub fn config_map(namespace: &str, name: &str, data: &[(&str, &str)]) -> String {
    let data = data.iter().fold(String::new(), |mut out, (key, value)| {
        let _ = writeln!(out, "  {}: {}", quote(key), quote(value));
        out
    });
    format!("apiVersion: v1\nkind: ConfigMap\n{}data:\n{data}", metadata(namespace, name))
}

fn metadata(namespace: &str, name: &str) -> String {
    format!("metadata:\n  name: {}\n  namespace: {}\n", quote(name), quote(namespace))
}

/// An Ingress, built field by field.
#[derive(Clone, Debug)]
pub struct Ingress {
    pub namespace: String,
    pub name: String,
    class: Option<String>,
    created: String,
    annotations: Vec<(String, String)>,
    rules: Vec<Rule>,
    tls: Vec<(Vec<String>, Option<String>)>,
    default_backend: Option<String>,
}

#[derive(Clone, Debug)]
struct Rule {
    host: String,
    path: String,
    path_type: String,
    service: String,
}

impl Ingress {
    /// An Ingress of class `nginx` without rules.
    pub fn new(name: &str) -> Self {
        Self {
            namespace: NAMESPACE.to_owned(),
            name: name.to_owned(),
            class: Some("nginx".to_owned()),
            created: "2026-01-01T00:00:00Z".to_owned(),
            annotations: Vec::new(),
            rules: Vec::new(),
            tls: Vec::new(),
            default_backend: None,
        }
    }

    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    pub fn class(mut self, class: Option<&str>) -> Self {
        self.class = class.map(str::to_owned);
        self
    }

    /// When the Ingress was made, which decides conflicts: `2026-01-01T00:00:00Z`.
    pub fn created(mut self, created: &str) -> Self {
        created.clone_into(&mut self.created);
        self
    }

    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.push((key.to_owned(), value.to_owned()));
        self
    }

    /// An annotation under ingress-nginx's prefix.
    pub fn nginx(self, key: &str, value: &str) -> Self {
        self.annotation(&format!("{NGINX}{key}"), value)
    }

    /// A path of type Prefix to port 80 of a Service; an empty host is a rule for all of them.
    pub fn rule(self, host: &str, path: &str, service: &str) -> Self {
        self.rule_of("Prefix", host, path, service)
    }

    pub fn rule_of(mut self, path_type: &str, host: &str, path: &str, service: &str) -> Self {
        self.rules.push(Rule {
            host: host.to_owned(),
            path: path.to_owned(),
            path_type: path_type.to_owned(),
            service: service.to_owned(),
        });
        self
    }

    pub fn tls(mut self, hosts: &[&str], secret: Option<&str>) -> Self {
        self.tls.push((hosts.iter().map(|h| (*h).to_owned()).collect(), secret.map(str::to_owned)));
        self
    }

    pub fn default_backend(mut self, service: &str) -> Self {
        self.default_backend = Some(service.to_owned());
        self
    }

    pub fn yaml(&self) -> String {
        let mut out = format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\n{}  creationTimestamp: {}\n",
            metadata(&self.namespace, &self.name),
            quote(&self.created)
        );
        if !self.annotations.is_empty() {
            out.push_str("  annotations:\n");
        }
        for (key, value) in &self.annotations {
            let _ = writeln!(out, "    {}: {}", quote(key), quote(value));
        }
        out.push_str("spec:\n");
        if let Some(class) = &self.class {
            let _ = writeln!(out, "  ingressClassName: {}", quote(class));
        }
        if let Some(service) = &self.default_backend {
            let _ = writeln!(out, "  defaultBackend: {}", backend(service));
        }
        if !self.tls.is_empty() {
            out.push_str("  tls:\n");
        }
        for (hosts, secret) in &self.tls {
            let hosts: Vec<String> = hosts.iter().map(|h| quote(h)).collect();
            let _ = writeln!(out, "  - hosts: [{}]", hosts.join(", "));
            if let Some(secret) = secret {
                let _ = writeln!(out, "    secretName: {}", quote(secret));
            }
        }
        if !self.rules.is_empty() {
            out.push_str("  rules:\n");
        }
        for Rule { host, path, path_type, service } in &self.rules {
            out.push_str("  - http:\n      paths:\n");
            let (path, backend) = (quote(path), backend(service));
            let _ = writeln!(out, "      - path: {path}\n        pathType: {path_type}\n        backend: {backend}");
            if !host.is_empty() {
                let _ = writeln!(out, "    host: {}", quote(host));
            }
        }
        out
    }
}

fn backend(service: &str) -> String {
    format!("{{service: {{name: {}, port: {{number: 80}}}}}}", quote(service))
}
