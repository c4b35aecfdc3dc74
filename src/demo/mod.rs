//! The demo: a few backends on loopback and the manifests in `config/demo`, so that one command shows the proxy at
//! work without a cluster. Nothing else in the package depends on it.

pub mod backend;
