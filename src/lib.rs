//! Portcullis: an ingress controller and L7 reverse proxy.
//!
//! Objects become a [`snapshot::Snapshot`]; `compile` turns it into an immutable routing table; `proxy` serves it.
//! ARCHITECTURE.md has the map, `tests/tidy.rs` holds the directions between the modules.
#![forbid(unsafe_code)]

pub mod admin;
pub mod base;
pub mod cli;
pub mod compile;
pub mod config;
pub mod controller;
pub mod demo;
pub mod policy;
pub mod proxy;
pub mod snapshot;
pub mod source;
pub mod table;
pub mod telemetry;
