//! AdmissionReview of admission.k8s.io/v1: a question in, an answer out.

use serde::Deserialize;
use serde_json::{Value, json};

use super::check::Verdict;
use crate::snapshot::Ingress;

/// A question of the API server.
#[derive(Debug, Deserialize)]
struct Review {
    request: Request,
}

#[derive(Debug, Deserialize)]
struct Request {
    uid: String,
    #[serde(default)]
    kind: GroupVersionKind,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    object: Value,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct GroupVersionKind {
    group: String,
    version: String,
    kind: String,
}

/// The answer to the body of a question, or why it is none.
pub fn answer(body: &[u8], check: impl FnOnce(Ingress) -> Verdict) -> Result<Value, String> {
    let review: Review = serde_json::from_slice(body).map_err(|error| format!("no AdmissionReview: {error}"))?;
    let Request { uid, kind, operation, namespace, name, object } = review.request;
    let GroupVersionKind { group, version, kind } = &kind;
    if (group.as_str(), version.as_str(), kind.as_str()) != ("networking.k8s.io", "v1", "Ingress") {
        let what = format!("{kind} of {group}/{version}, {namespace}/{name}");
        return Ok(respond(
            &uid,
            &refused(format!("only Ingresses of networking.k8s.io/v1 are checked here, not {what}")),
        ));
    }
    if operation == "DELETE" {
        return Ok(respond(&uid, &Verdict::default()));
    }
    let verdict = match Ingress::deserialize(object) {
        Ok(mut ingress) => {
            // A name that is generated is not there yet, a namespace may be the request's alone.
            if ingress.metadata.namespace.is_empty() {
                ingress.metadata.namespace = namespace.into();
            }
            check(ingress)
        }
        Err(error) => refused(format!("the Ingress cannot be read: {error}")),
    };
    Ok(respond(&uid, &verdict))
}

fn refused(message: String) -> Verdict {
    Verdict { refusals: vec![message], warnings: Vec::new() }
}

fn respond(uid: &str, verdict: &Verdict) -> Value {
    let mut response = json!({ "uid": uid, "allowed": verdict.refusals.is_empty() });
    if let Value::Object(response) = &mut response {
        if !verdict.refusals.is_empty() {
            let status = json!({
                "status": "Failure", "reason": "BadRequest", "code": 400, "message": verdict.refusals.join("; "),
            });
            response.insert("status".to_owned(), status);
        }
        if !verdict.warnings.is_empty() {
            response.insert("warnings".to_owned(), json!(verdict.warnings));
        }
    }
    json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(kind: &str, operation: &str, object: &str) -> String {
        format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u-1","operation":"{operation}",
            "kind":{{"group":"networking.k8s.io","version":"v1","kind":"{kind}"}},"namespace":"ns","name":"a","object":{object}}}}}"#
        )
    }

    #[test]
    fn answers() {
        let path = r#"{"metadata":{"name":"a"},"spec":{"rules":[{"http":{"paths":[{"path":"/"}]}}]}}"#;
        let rows = [
            (review("Ingress", "CREATE", r#"{"metadata":{"name":"a"}}"#), true, "seen in ns"),
            (review("Ingress", "DELETE", "null"), true, ""),
            (review("Service", "CREATE", "{}"), false, "only Ingresses"),
            (review("Ingress", "UPDATE", path), false, "pathType"),
            (review("Ingress", "UPDATE", "7"), false, "cannot be read"),
        ];
        for (body, allowed, expected) in rows {
            let check = |ingress: Ingress| Verdict {
                warnings: vec![format!("seen in {}", ingress.metadata.namespace)],
                ..Verdict::default()
            };
            let answer = answer(body.as_bytes(), check).unwrap();
            let response = &answer["response"];
            assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(allowed)), "{body}");
            assert!(answer.to_string().contains(expected), "{answer}");
        }
        assert!(answer(b"{}", |_| Verdict::default()).is_err());
        assert!(answer(b"\xff", |_| Verdict::default()).is_err());
    }
}
