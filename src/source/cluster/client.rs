//! How the API server is reached: `--kubeconfig`, `--apiserver-host`, or what the Pod was given.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

/// Longer than a watch runs without a word from the API server.
const READ_TIMEOUT: Duration = Duration::from_secs(90);

/// For one answer of the API server.
pub const ANSWER: Duration = Duration::from_secs(10);

/// Which API server, as who.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    pub kubeconfig: Option<PathBuf>,
    /// `protocol://address:port`; takes the place of the kubeconfig's server.
    pub server: Option<String>,
    /// PEM of the authority that the server's certificate is checked against.
    pub authority: Option<PathBuf>,
}

/// Why the API server cannot be asked: the user's to mend.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("--kubeconfig {}: {error}", path.display())]
    Kubeconfig { path: PathBuf, error: Box<kube::config::KubeconfigError> },
    #[error("--apiserver-host {0:?} is not protocol://address:port: {1}")]
    Server(String, String),
    #[error("--certificate-authority {}: {error}", path.display())]
    Authority { path: PathBuf, error: String },
    #[error(
        "there is no cluster to ask: not in a Pod ({0}); name --kubeconfig FILE, or --manifests DIR to serve a directory"
    )]
    NoCluster(Box<kube::config::InClusterError>),
    #[error("the connection to the API server cannot be set up: {0}")]
    Client(Box<kube::Error>),
}

/// Nothing is asked yet: an API server that is away is no error.
pub async fn connect(access: &Access) -> Result<Client, AccessError> {
    let mut config = match (&access.kubeconfig, &access.server) {
        (Some(path), _) => from_kubeconfig(path).await?,
        (None, Some(server)) => Config::new(uri(server)?),
        (None, None) => Config::incluster_env().map_err(|error| AccessError::NoCluster(Box::new(error)))?,
    };
    if let (Some(server), Some(_)) = (&access.server, &access.kubeconfig) {
        config.cluster_url = uri(server)?;
    }
    if let Some(path) = &access.authority {
        config.root_cert = Some(certificates(path)?);
    }
    let agent = http::HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION")));
    config.headers.push((http::header::USER_AGENT, agent));
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    // Its pauses grow to minutes, unseen; who asks knows better how long to wait.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| AccessError::Client(Box::new(error)))
}

/// The object of this name, if there is one; by a list of one, so that no role has to grant `get` besides.
pub async fn find<K>(api: &Api<K>, name: &str) -> kube::Result<Option<K>>
where
    K: Clone + DeserializeOwned + fmt::Debug,
{
    let list = api.list(&ListParams::default().fields(&format!("metadata.name={name}"))).await?;
    Ok(list.items.into_iter().next())
}

async fn from_kubeconfig(path: &PathBuf) -> Result<Config, AccessError> {
    let wrong = |error| AccessError::Kubeconfig { path: path.clone(), error: Box::new(error) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(wrong)
}

fn uri(server: &str) -> Result<http::Uri, AccessError> {
    let wrong = |why: String| AccessError::Server(server.to_owned(), why);
    let uri: http::Uri = server.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        _ => Err(wrong("the protocol is http or https".to_owned())),
    }
}

fn certificates(path: &PathBuf) -> Result<Vec<Vec<u8>>, AccessError> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    let wrong = |error: String| AccessError::Authority { path: path.clone(), error };
    let list: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    let list = list.map_err(|error| wrong(error.to_string()))?;
    match list.is_empty() {
        true => Err(wrong("there is no certificate in it".to_owned())),
        false => Ok(list.into_iter().map(|certificate| certificate.to_vec()).collect()),
    }
}

/// An error of the API server or on the way to it, with its causes: its own text is `client error (SendRequest)` at best.
pub fn causes(error: impl std::error::Error + Send + Sync + 'static) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

/// What the API server answers in time, or why there is nothing.
pub async fn answered<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    timeout(ANSWER, asked).await.map_err(|_| "no answer".to_owned())?.map_err(causes)
}

/// The first success of so many attempts, with a pause between two; else the last error. A kept connection may have been
/// closed meanwhile: the next attempt makes a new one.
pub async fn attempts<T, E, A>(most: u32, pause: Duration, mut attempt: impl FnMut() -> A) -> Result<T, E>
where
    A: Future<Output = Result<T, E>>,
{
    let mut result = attempt().await;
    for _ in 1..most {
        if result.is_ok() {
            break;
        }
        sleep(pause).await;
        result = attempt().await;
    }
    result
}
