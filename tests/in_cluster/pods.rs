//! Pods are processes: their probes, their ends, their place in the cluster.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};

use serde_json::Value;

use super::kit_self::{echo, workload};
use crate::kit::cluster::{self, Cluster};
use crate::kit::{DEADLINE, Raw};

fn pod(cluster: &Cluster, namespace: &str, name: &str) -> Option<Value> {
    cluster.get(namespace, &["pod", name])
}

#[test]
fn readiness_follows_an_annotation() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("ready");
    cluster.apply(&namespace, &workload("web", 2));
    let both = cluster.wait_for_endpoints(&namespace, "web", 2);
    let name = echo(&both[0], "/")["pod"].as_str().unwrap().to_owned();
    let annotate = |ready: &str| {
        let annotation = format!("testcluster/ready={ready}");
        cluster.kubectl(["annotate", "--overwrite", "--namespace", &namespace, "pod", &name, &annotation], "").ok();
    };
    annotate("false");
    assert_eq!(cluster.wait_for_endpoints(&namespace, "web", 1), both[1..]);
    echo(&both[0], "/");
    annotate("true");
    assert_eq!(cluster.wait_for_endpoints(&namespace, "web", 2), both);
}

#[test]
fn an_image_runs_this_packages_binary_under_its_probes() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("binary");
    let manifests = tempfile::tempdir().unwrap();
    cluster.apply(
        &namespace,
        &format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: proxy, labels: {{app: proxy}}}}
spec:
  terminationGracePeriodSeconds: 20
  containers:
  - name: controller
    image: registry.example/team/portcullis:1.0@sha256:0000000000000000000000000000000000000000000000000000000000000000
    args: [run, --manifests, {}, --http-port, \"$(PORT)\", --https-port, '8443', --shutdown-grace-period, '0']
    env: [{{name: PORT, value: '8080'}}]
    ports: [{{name: http, containerPort: 8080}}, {{name: metrics, containerPort: 10254}}]
    readinessProbe: {{httpGet: {{path: /readyz, port: metrics}}}}
    livenessProbe: {{httpGet: {{path: /healthz, port: 10254}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: proxy}}
spec: {{selector: {{app: proxy}}, ports: [{{port: 80, targetPort: http}}]}}
",
            manifests.path().display()
        ),
    );
    let addresses = cluster.wait_for_endpoints(&namespace, "proxy", 1);
    let response = Raw::connect(format!("{}:8080", addresses[0]).parse().unwrap()).get("x.test", "/");
    assert_eq!(response.status, 404, "no Ingress, so the default backend answers");
    cluster.kubectl(["delete", "--namespace", &namespace, "pod", "proxy"], "").ok();
    assert_eq!(pod(cluster, &namespace, "proxy"), None);
    let log = cluster.pod_log(&namespace, "proxy");
    assert!(log.contains("agent: controller: ended"), "{log}");
}

#[test]
fn a_pod_speaks_to_the_api_server_as_its_service_account() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("account");
    cluster.kubectl(["create", "serviceaccount", "--namespace", &namespace, "robot"], "").ok();
    cluster.apply(
        &namespace,
        "{apiVersion: v1, kind: Pod, metadata: {name: who}, spec: {serviceAccountName: robot, restartPolicy: Never,
          containers: [{name: kubectl, image: kubectl, args: [auth, whoami, --output, json]}]}}",
    );
    cluster.wait_for("the Pod's end", || {
        let pod = pod(cluster, &namespace, "who")?;
        (pod["status"]["phase"] == "Succeeded").then_some(())
    });
    let log = cluster.pod_log(&namespace, "who");
    assert!(log.contains(&format!("system:serviceaccount:{namespace}:robot")), "{log}");
    assert!(log.contains("authentication.kubernetes.io/pod-name"), "the token is not bound to the Pod: {log}");
}

#[test]
fn a_container_that_fails_is_started_again() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("crash");
    cluster.apply(
        &namespace,
        "{apiVersion: v1, kind: Pod, metadata: {name: crash}, spec: {containers: [{name: c, image: sh, args: ['-c', 'exit 3']}]}}",
    );
    let state = cluster.wait_for("two restarts", || {
        let state = pod(cluster, &namespace, "crash")?["status"]["containerStatuses"][0].clone();
        (state["restartCount"].as_u64()? >= 2 && state["state"]["waiting"].is_object()).then_some(state)
    });
    assert_eq!(state["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(state["lastState"]["terminated"]["exitCode"], 3);
}

#[test]
fn a_pod_is_asked_to_end_after_its_hook() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("hook");
    cluster.apply(
        &namespace,
        "apiVersion: v1
kind: Pod
metadata: {name: hook}
spec:
  containers:
  - name: c
    image: sh
    command: [/bin/sh, -c]
    args: ['trap \"echo asked; exit 0\" TERM; echo \"on $NODE at $(ADDRESS)\"; while :; do sleep 0.05; done']
    env:
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    lifecycle: {preStop: {exec: {command: [/bin/sh, -c, 'echo hooked']}}}
",
    );
    let log = || cluster.pod_log(&namespace, "hook");
    cluster.wait_for("the container's first words", || log().contains("on node-").then_some(()));
    let address = cluster.wait_for("the Pod's address", || {
        pod(cluster, &namespace, "hook")?["status"]["podIP"].as_str().map(str::to_owned)
    });
    cluster.kubectl(["delete", "--namespace", &namespace, "pod", "hook"], "").ok();
    let words: Vec<String> = log().lines().map(str::to_owned).collect();
    assert!(words[0].ends_with(&format!(" at {address}")), "{words:?}");
    assert_eq!(words[1..], ["hooked", "asked", "agent: c: ended"]);
}

#[test]
fn liveness_and_readiness_probes_count() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("probe");
    // Nothing listens at the port of the one; the other has a file as its health.
    let file = tempfile::NamedTempFile::new().unwrap();
    cluster.apply(
        &namespace,
        &format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: dead}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: sh
    args: [-c, exec sleep 1000]
    livenessProbe: {{tcpSocket: {{port: 9}}, periodSeconds: 1, failureThreshold: 1}}
---
apiVersion: v1
kind: Pod
metadata: {{name: moody}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: sh
    args: [-c, exec sleep 1000]
    readinessProbe: {{exec: {{command: [/bin/sh, -c, test -e {}]}}, periodSeconds: 1, failureThreshold: 1}}
",
            file.path().display()
        ),
    );
    cluster.wait_for("a restart for the sake of liveness", || {
        let pod = pod(cluster, &namespace, "dead")?;
        (pod["status"]["containerStatuses"][0]["restartCount"].as_u64()? > 0).then_some(())
    });
    let ready = |want: bool| {
        cluster.wait_for("readiness to follow its probe", || {
            let pod = pod(cluster, &namespace, "moody")?;
            (pod["status"]["containerStatuses"][0]["ready"] == want).then_some(())
        });
    };
    ready(true);
    drop(file);
    ready(false);
}

#[test]
fn echo_backends_speak_tcp_and_udp() {
    let Some(cluster) = cluster::with_pods() else { return };
    let namespace = cluster.namespace("raw");
    cluster.apply(
        &namespace,
        "{apiVersion: v1, kind: Pod, metadata: {name: raw}, spec: {containers: [{name: c, image: echo, ports: [
          {name: tcp-echo, containerPort: 9000}, {name: dns, containerPort: 53, protocol: UDP}]}]}}",
    );
    cluster.kubectl(["wait", "--namespace", &namespace, "--for=condition=Ready", "pod/raw", "--timeout=60s"], "").ok();
    let pod = pod(cluster, &namespace, "raw").unwrap();
    let address = pod["status"]["podIP"].as_str().unwrap();

    let mut stream = TcpStream::connect((address, 9000)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut said = [0; 9];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"raw\nhello");

    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.send_to(b"ping", (address, 53)).unwrap();
    let mut said = [0; 32];
    let length = socket.recv(&mut said).unwrap();
    assert_eq!(&said[..length], b"raw ping");
}
