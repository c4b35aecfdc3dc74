//! What is known of the controller's own Pods and their nodes, asked for when it is needed.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ListParams;
use kube::{Api, Client};

use super::addresses::address;
use crate::snapshot::LoadBalancerIngress;
use crate::source::cluster::find;

/// Labels that tell one generation of Pods from the next; replicas differ in them during a rollout.
const GENERATIONS: [&str; 4] =
    ["controller-revision-hash", "pod-template-generation", "pod-template-hash", "statefulset.kubernetes.io/pod-name"];

/// This Pod.
#[derive(Clone, Debug)]
pub struct Own {
    pub namespace: String,
    pub name: String,
}

impl Own {
    /// The Pods with this one's labels, itself included; `None` if this is no Pod.
    async fn replicas(&self, client: &Client) -> kube::Result<Option<Vec<Pod>>> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
        let Some(own) = find(&pods, &self.name).await? else { return Ok(None) };
        let labels: BTreeMap<_, _> = own.metadata.labels.unwrap_or_default();
        let selector: Vec<String> = labels
            .iter()
            .filter(|(key, _)| !GENERATIONS.contains(&key.as_str()))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        Ok(Some(pods.list(&ListParams::default().labels(&selector.join(","))).await?.items))
    }

    /// Whether another replica runs or is about to, as during a rollout; `None` if this is no Pod.
    pub async fn has_others(&self, client: &Client) -> kube::Result<Option<bool>> {
        let Some(others) = self.replicas(client).await? else { return Ok(None) };
        Ok(Some(others.iter().any(|pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            !matches!(phase, Some("Succeeded" | "Failed"))
                && pod.metadata.deletion_timestamp.is_none()
                && pod.metadata.name.as_deref() != Some(&self.name)
        })))
    }

    /// The addresses of the nodes that run replicas: external ones, internal where there is none or it is asked for.
    /// `None` if this is no Pod.
    pub async fn nodes(&self, client: &Client, internal: bool) -> kube::Result<Option<Vec<LoadBalancerIngress>>> {
        let Some(replicas) = self.replicas(client).await? else { return Ok(None) };
        // At its own end this Pod still counts: what it wrote is what it has to take away.
        let is_own = |pod: &Pod| pod.metadata.name.as_deref() == Some(self.name.as_str());
        let runs = |pod: &Pod| pod.metadata.deletion_timestamp.is_none() && is_ready(pod);
        let running = replicas.iter().filter(|pod| runs(pod) || is_own(pod));
        let names: BTreeSet<String> = running.filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect();
        let nodes: Api<Node> = Api::all(client.clone());
        let mut addresses = Vec::new();
        for name in names {
            // A node that is gone has no address; its Pods go soon.
            addresses.extend(nodes.get_opt(&name).await?.and_then(|node| of_node(&node, internal)));
        }
        Ok(Some(addresses))
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn of_node(node: &Node, internal: bool) -> Option<LoadBalancerIngress> {
    let list = node.status.as_ref()?.addresses.as_ref()?;
    let of = |kind: &str| list.iter().find(|a| a.type_ == kind && !a.address.is_empty()).map(|a| address(&a.address));
    if internal { of("InternalIP") } else { of("ExternalIP").or_else(|| of("InternalIP")) }
}
