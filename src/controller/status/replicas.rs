//! What is known of the controller's own Pods and their nodes, asked for when it is needed.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::ListParams;
use kube::{Api, Client};

use super::addresses::address;
use crate::snapshot::LoadBalancerIngress;
use crate::source::cluster::find;

/// Labels in which replicas differ; one that ends in `/` is all of that prefix.
const OF_ONE_REPLICA: [&str; 9] = [
    // One generation of Pods and the next, during a rollout …
    "controller-revision-hash",
    "pod-template-generation",
    "pod-template-hash",
    // … or during an upgrade of the release.
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/",
    "apps.kubernetes.io/pod-index",
    "statefulset.kubernetes.io/pod-name",
    // The zone and region of the node, which the API server copies to its Pods (KEP-4742).
    "topology.kubernetes.io/",
];

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
        let selector = selector(&own.metadata.labels.unwrap_or_default());
        Ok(Some(pods.list(&ListParams::default().labels(&selector)).await?.items))
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

/// What all replicas have in common, of the labels of one.
fn selector(labels: &BTreeMap<String, String>) -> String {
    let is_common =
        |key: &str| !OF_ONE_REPLICA.iter().any(|other| *other == key || other.ends_with('/') && key.starts_with(other));
    let common = labels.iter().filter(|(key, _)| is_common(key));
    common.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_have_in_common_what_rollouts_upgrades_and_zones_leave() {
        let rows = [
            (r#"{"app":"a","pod-template-hash":"7b79b5b959"}"#, "app=a"),
            (
                r#"{"app.kubernetes.io/name":"n","app.kubernetes.io/instance":"i","app.kubernetes.io/component":"c",
                    "app.kubernetes.io/version":"1","app.kubernetes.io/managed-by":"Helm","helm.sh/chart":"n-1"}"#,
                "app.kubernetes.io/component=c,app.kubernetes.io/instance=i,app.kubernetes.io/name=n",
            ),
            (r#"{"app":"a","topology.kubernetes.io/zone":"zone-1","topology.kubernetes.io/region":"r"}"#, "app=a"),
            (r#"{"app":"a","apps.kubernetes.io/pod-index":"0","statefulset.kubernetes.io/pod-name":"a-0"}"#, "app=a"),
            (r#"{"helm.shell":"x"}"#, "helm.shell=x"),
            ("{}", ""),
        ];
        for (labels, expected) in rows {
            assert_eq!(selector(&serde_json::from_str(labels).unwrap()), expected, "{labels}");
        }
    }
}
