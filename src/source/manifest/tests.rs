//! Good and bad documents, with the line and words of what is wrong.

use super::*;

fn read(text: &str) -> Result<Manifest, ManifestError> {
    let format = if text.starts_with("{\"") { Format::Json } else { Format::Yaml };
    parse(text.as_bytes(), format, &"m.yaml".into())
}

/// `Kind namespace/name @line` a line, then `ignored: …`, or `error …`.
fn outline(text: &str) -> String {
    match read(text) {
        Err(error) => format!("error {error}"),
        Ok(manifest) => {
            let objects = manifest.objects.iter().map(|object| {
                let origin = object.meta().origin.as_ref().unwrap();
                assert_eq!(&*origin.file, "m.yaml");
                format!("{} @{}", object.reference(), origin.line)
            });
            let ignored = manifest.ignored.iter().map(|ignored| format!("@{} {ignored}", ignored.line));
            objects.chain(ignored).collect::<Vec<_>>().join("; ")
        }
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(outline(text), expected, "\n{text}");
}

/// The error of `text` is at `line` and its message, object and field included, has `fragment` in it.
#[track_caller]
fn check_error(text: &str, line: u32, fragment: &str) {
    let error = read(text).expect_err(text);
    assert!(
        error.line == line && error.to_string().contains(fragment),
        "expected {line}: {fragment}\ngot {error}\n{text}"
    );
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

const INGRESS: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  creationTimestamp: null
  managedFields: [{manager: kubectl}]
spec:
  tls:
  rules:
  - host: shop.example
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: web, port: {number: 80}}}
      - path: /old
        pathType: Exact
        backend: {service: {name: web, port: {name: http}}}
";

#[test]
fn documents() {
    check("", "");
    check("# nothing\n", "");
    check("---\n---\n# c\n---\n", "");
    check(MAP, "ConfigMap default/a @1");
    check(INGRESS, "Ingress shop/web @1");
    check(&format!("\u{feff}{MAP}"), "ConfigMap default/a @1");
    check(&format!("{MAP}---\n{MAP}"), "ConfigMap default/a @1; ConfigMap default/a @5");
    check(
        &format!("# first\n--- # comment\n\n{MAP}...\n---\n# second\n{MAP}"),
        "ConfigMap default/a @4; ConfigMap default/a @10",
    );
    check(&format!("{MAP}---\n{MAP}").replace('\n', "\r\n"), "ConfigMap default/a @1; ConfigMap default/a @5");
    check(
        &format!("{MAP}data:\n  x: |\n    ---\n    kind: Pod\n    ...\n---\n{MAP}"),
        "ConfigMap default/a @1; ConfigMap default/a @10",
    );
}

#[test]
fn values() {
    let one = |text: &str| match read(text).unwrap().objects.remove(0) {
        Object::ConfigMap(map) => map,
        other => panic!("{other:?}"),
    };
    let map =
        one(&format!("{MAP}data:\n  9000: \"shop/web:80\"\n  empty:\n  date: 2024-01-01\n  block: |\n    a\n    b\n"));
    let expected = [("9000", "shop/web:80"), ("empty", ""), ("date", "2024-01-01"), ("block", "a\nb\n")];
    assert_eq!(map.data, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    let map = one(&format!("{MAP}x-base: &base {{a: b}}\ndata:\n  <<: *base\n  c: d\n"));
    assert_eq!(map.data, [("a", "b"), ("c", "d")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    assert_eq!(map.metadata.created, 0);
    let map = one("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a.b, creationTimestamp: 2024-01-01T00:00:00Z}\n");
    assert_eq!((map.metadata.created, &*map.metadata.namespace), (1_704_067_200, "default"));
}

#[test]
fn ports_and_conditions_keep_their_values() {
    let text = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\n\
                endpoints: [{addresses: [10.0.0.1], conditions: {ready: false, serving: true}}]\nports: [{port: 80}]\n---\n\
                apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80, targetPort: http}, {port: 81, targetPort: 8080}]}\n";
    let objects = read(text).unwrap().objects;
    let [Object::EndpointSlice(slice), Object::Service(service)] = objects.as_slice() else { panic!("{objects:?}") };
    assert_eq!(slice.endpoints[0].conditions.ready, Some(false));
    assert_eq!(slice.endpoints[0].conditions.serving, Some(true));
    let targets: Vec<_> = service.spec.ports.iter().map(|p| p.target_port.as_ref().unwrap().to_string()).collect();
    assert_eq!(targets, ["http", "8080"]);
}

#[test]
fn lists() {
    check(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: b, namespace: ns}\n",
        "Service default/a @4; Secret ns/b @7",
    );
    check("apiVersion: v1\nkind: List\nitems: []\n", "");
    check("apiVersion: v1\nkind: List\nitems:\n", "");
    check(
        "apiVersion: networking.k8s.io/v1\nkind: IngressClassList\nitems:\n- metadata: {name: nginx, namespace: gone}\n",
        "IngressClass nginx @4",
    );
    check(
        "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n",
        "@4 kind Deployment (apps/v1) is not used: ignored",
    );
    let nested = |depth: usize| {
        "{apiVersion: v1, kind: List, items: [".repeat(depth)
            + "{apiVersion: v1, kind: Secret, metadata: {name: a}}"
            + &"]}".repeat(depth)
    };
    assert_eq!(parse(nested(8).as_bytes(), Format::Yaml, &"f".into()).unwrap().objects.len(), 1);
    let error = parse(nested(9).as_bytes(), Format::Yaml, &"f".into()).unwrap_err();
    assert!(error.message.contains("lists inside each other"), "{error}");
    check_error("apiVersion: v1\nkind: List\nitems: {}\n", 3, "items: expected a list");
    check_error("apiVersion: v1\nkind: List\nitems:\n- a\n", 4, "expected a mapping");
    check_error("apiVersion: v1\nkind: List\nitems:\n- metadata: {name: a}\n", 4, "`kind` is not set");
}

#[test]
fn json() {
    check(
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n\n{\"apiVersion\":\"v1\",\n\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"b\"}}",
        "ConfigMap default/a @1; ConfigMap default/b @3",
    );
    check_error("{\"apiVersion\":\"v1\",\n\"kind\":\"ConfigMap\"", 2, "EOF");
    check_error("{\"apiVersion\":\"v1\",\n\"kind\":\"ConfigMap\",\"kind\":\"Secret\"}", 2, "duplicate key `kind`");
    check_error(
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":1}}",
        1,
        "ConfigMap default/a: data.k: expected a string",
    );
}

#[test]
fn other_kinds_are_noted_once() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: 1}\n---\n";
    check(&deployment.repeat(3), "@1 kind Deployment (apps/v1) is not used: ignored");
    check(
        "apiVersion: serving.knative.dev/v1\nkind: Service\n",
        "@1 kind Service (serving.knative.dev/v1) is not used: ignored",
    );
}

#[test]
fn old_versions_name_the_new_one() {
    let old =
        |version: &str, kind: &str| format!("# old\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n");
    check_error(
        &old("extensions/v1beta1", "Ingress"),
        2,
        "Ingress default/a: Ingress of extensions/v1beta1 is not served: use networking.k8s.io/v1",
    );
    check_error(&old("networking.k8s.io/v1beta1", "Ingress"), 2, "use networking.k8s.io/v1");
    check_error(&old("networking.k8s.io/v1beta1", "IngressClass"), 2, "use networking.k8s.io/v1");
    check_error(&old("discovery.k8s.io/v1beta1", "EndpointSlice"), 2, "use discovery.k8s.io/v1");
    check_error(&old("v2", "Service"), 2, "use v1");
}

#[test]
fn broken_documents() {
    check_error("a: [", 1, "");
    check_error("a: b\nc: d: e\n", 2, "");
    check_error("\tkind: x\n", 1, "");
    check_error("just text\n", 1, "expected a mapping");
    check_error("- a\n", 1, "expected a mapping");
    check_error("kind: Secret\n", 1, "`apiVersion` is not set");
    check_error("apiVersion: v1\n", 1, "`kind` is not set");
    check_error("apiVersion: v1\nkind: Secret\n---\napiVersion: v1\nkind: Secret\n", 1, "metadata.name: is required");
    check_error(&format!("{MAP}data:\n  a: x\n  b: y\n  a: z\n"), 7, "duplicate key `a`");
    check_error(&format!("{MAP}---\n{MAP}kind: Secret\n"), 8, "duplicate");
    check_error(&format!("{MAP}data: *nowhere\n"), 4, "unknown anchor");
    check_error(
        &format!("{MAP}data: {{{{ .Values.data }}}}\n"),
        4,
        "a key must be a string; a template must be rendered first",
    );
    check_error("{{- if x }}\na: b\n", 1, "only valid inside a block");
}

#[test]
fn fields_that_the_api_refuses() {
    let map = |rest: &str| format!("{MAP}{rest}");
    check_error(
        &map("data:\n  a: yes\n"),
        5,
        "ConfigMap default/a: data.a: expected a string, found a boolean: put it in quotes",
    );
    check_error(&map("data:\n  a: ok\n  b: 8080\n"), 6, "data.b: expected a string, found a number: put it in quotes");
    check_error(&map("data:\n  a: 0644\n"), 5, "data.a: expected a string, found a number");
    check_error(&map("data:\n  a: 1.5\n"), 5, "data.a: expected a string, found a number");
    check_error(&map("data:\n  a: [x]\n"), 5, "data.a: expected a string, found a list");
    check_error(&map("data: [x]\n"), 4, "data: expected a mapping, found a list");
    check_error(&map("data: x\n"), 4, "data: expected a mapping, found a string");
    check_error(
        &INGRESS.replace("        pathType: Exact\n", ""),
        17,
        "Ingress shop/web: spec.rules[0].http.paths[1]: the field `pathType` is required",
    );
    check_error(
        &INGRESS.replace("Exact", ""),
        18,
        "paths[1].pathType: expected one of Exact, Prefix, ImplementationSpecific",
    );
    check_error(&INGRESS.replace("Exact", "exact"), 18, "paths[1].pathType: \"exact\" is not one of Exact, Prefix");
    check_error(
        &INGRESS.replace("number: 80", "number: \"80\""),
        16,
        "port.number: expected an integer of 32 bits, found a string",
    );
    check_error(&INGRESS.replace("number: 80", "number: 9999999999"), 16, "port.number: out of range");
    check_error(&INGRESS.replace("  rules:", "  rules: 1\n  x:"), 10, "spec.rules: expected a list, found a number");
    check_error(
        &INGRESS.replace("creationTimestamp: null", "creationTimestamp: soon"),
        6,
        "metadata.creationTimestamp: \"soon\" is not an RFC 3339 time",
    );
    check_error(
        &INGRESS.replace("  managedFields", "  annotations: {a: true}\n  managedFields"),
        7,
        "metadata.annotations.a: expected a string",
    );
    check_error(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 80\n    targetPort: [1]\n",
        7,
        "spec.ports[0].targetPort: expected a number or a name",
    );
    check_error(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - [80]\n",
        6,
        "spec.ports[0]: expected a mapping, found a list",
    );
}

#[test]
fn names() {
    let named = |kind: &str, name: &str| format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n");
    check(&named("ConfigMap", "a.b-c.1"), "ConfigMap default/a.b-c.1 @1");
    check_error(&named("ConfigMap", "Web"), 4, "metadata.name: \"Web\" is no DNS-1123 name");
    check_error(&named("ConfigMap", "-a"), 4, "metadata.name: \"-a\" is no DNS-1123 name");
    check_error(&named("ConfigMap", "a..b"), 4, "is no DNS-1123 name");
    check_error(&named("ConfigMap", "a/b"), 4, "is no DNS-1123 name");
    check_error(&named("ConfigMap", "12"), 4, "metadata.name: expected a string, found a number");
    check_error(&named("ConfigMap", ""), 4, "metadata.name: is required");
    check_error(&named("ConfigMap", &"a".repeat(254)), 4, "longer than 253");
    check_error(&named("Service", "a.b"), 4, "is no DNS-1123 name");
    check_error(&named("ConfigMap", "a\n  namespace: A_b"), 5, "metadata.namespace: \"A_b\"");
}

#[test]
fn a_secret_is_never_quoted() {
    for data in ["k: 31337", "k: [hunter2]", "k: {hunter2: 31337}", "k: hunter2\n  k: hunter2", "k: 'hunter2"] {
        let error =
            read(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData:\n  {data}\n")).unwrap_err();
        assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("31337"), "{error}");
    }
}

#[test]
fn bounds() {
    let bomb: String = (1..12).map(|i| format!("a{i}: &a{i} [{}]\n", format!("*a{},", i - 1).repeat(9))).collect();
    check_error(&format!("a0: &a0 [x]\n{bomb}"), 7, "alias replay limit exceeded");
    let deep = format!("{MAP}x: {}", "[".repeat(200));
    assert!(read(&deep).is_err());
    assert!(read(&"---\n{}\n".repeat(100_001)).is_err());
    assert!(parse(&vec![b' '; MAX_BYTES + 1], Format::Yaml, &"f".into()).unwrap_err().message.contains("32 MiB"));
    let error = parse(b"a: b\n\n\xff", Format::Yaml, &"f".into()).unwrap_err();
    assert_eq!(error.to_string(), "line 3: not UTF-8");
}

#[test]
fn an_anchor_serves_thousands_of_items() {
    let item = "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: *l}}\n";
    let text = format!("apiVersion: v1\nkind: List\nx: &l {{app: web}}\nitems:\n{}", item.repeat(5_000));
    assert_eq!(read(&text).unwrap().objects.len(), 5_000);
}
