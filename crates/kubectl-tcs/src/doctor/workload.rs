//! The Deployment of the service, its versions and its pods.

use super::finding::Finding;
use super::manifest::APPLY_ALL;
use crate::cluster::{Cluster, decode, without_record};
use crate::command::with_name;
use crate::error::Error;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use kube::api::ListParams;
use serde_json::Value;
use tcs_api::SERVICE_NAMESPACE;

const NAME: &str = "tcs-issuer";
const CONTAINERS: [&str; 2] = ["tcs-issuer", "tcs-enclave"];
const SELECTOR: &str = "app.kubernetes.io/name=tcs-issuer";
const DEPLOYMENT: &str = "Deployment";
const VERSIONS: &str = "Versions";
const PODS: &str = "Pods";

/// Checks Deployment, versions and pods. `own` is the version of this program.
pub async fn check(cluster: &Cluster, own: &str) -> Vec<Finding> {
    let mut findings = match deployment(cluster).await {
        Ok(Some(deployment)) => {
            let spec = deployment.spec.template.spec.as_ref();
            vec![replicas(&deployment), versions(&object(), spec, own)]
        }
        Ok(None) => vec![Finding::wrong(DEPLOYMENT, object(), "it is missing", APPLY_ALL)],
        Err(error) => vec![
            Finding::of_error(DEPLOYMENT, object(), &error),
            Finding::of_error(VERSIONS, object(), &error),
        ],
    };
    let pods =
        cluster.list_with::<Pod>(Some(SERVICE_NAMESPACE), ListParams::default().labels(SELECTOR)).await;
    match pods {
        Ok(pods) => findings.extend(of_pods(pods, own)),
        Err(error) => findings.push(Finding::of_error(PODS, SERVICE_NAMESPACE, &error)),
    }
    findings
}

/// Checks the pods that run. Those that end or have ended do nothing any more.
fn of_pods(pods: Vec<Value>, own: &str) -> Vec<Finding> {
    let text =
        |pod: &Value, path: &str| pod.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_over = |pod: &Value| {
        !text(pod, "/metadata/deletionTimestamp").is_empty()
            || ["Succeeded", "Failed"].contains(&text(pod, "/status/phase").as_str())
    };
    let running: Vec<Value> = pods.into_iter().filter(|pod| !is_over(pod)).collect();
    if running.is_empty() {
        let advice = format!("kubectl describe replicasets -n {SERVICE_NAMESPACE}");
        return vec![Finding::wrong(PODS, SERVICE_NAMESPACE, "none runs", advice)];
    }
    running.into_iter().flat_map(|found| pod(found, own)).collect()
}
fn object() -> String {
    format!("{SERVICE_NAMESPACE}/{NAME}")
}

async fn deployment(cluster: &Cluster) -> Result<Option<Deployment>, Error> {
    let found = cluster.get::<Deployment>(Some(SERVICE_NAMESPACE), NAME).await?;
    found.map(|found| decode(&format!("{DEPLOYMENT} {}", object()), without_record(found))).transpose()
}

fn replicas(deployment: &Deployment) -> Finding {
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let available = deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    let found = format!("{available} of {wanted} replicas are available");
    if wanted == 0 {
        let advice = format!("kubectl scale deployment -n {SERVICE_NAMESPACE} {NAME} --replicas=1");
        return Finding::wrong(DEPLOYMENT, object(), "it is scaled to 0", advice);
    }
    let status = deployment.status.clone().unwrap_or_default();
    let updated = status.updated_replicas.unwrap_or(0);
    if deployment.metadata.generation.is_some()
        && status.observed_generation != deployment.metadata.generation
    {
        let advice = format!("kubectl rollout status deployment -n {SERVICE_NAMESPACE} {NAME}");
        return Finding::wrong(DEPLOYMENT, object(), "its status describes an earlier spec", advice);
    }
    if updated < wanted {
        let advice = format!("kubectl rollout status deployment -n {SERVICE_NAMESPACE} {NAME}");
        let found = format!("{updated} of {wanted} replicas have the current spec");
        return Finding::wrong(DEPLOYMENT, object(), found, advice);
    }
    if available < wanted {
        let advice = format!("kubectl describe pods -n {SERVICE_NAMESPACE} -l {SELECTOR}");
        return Finding::wrong(DEPLOYMENT, object(), found, advice);
    }
    Finding::good(DEPLOYMENT, object(), found)
}

/// Controller and enclave must have one version, and this program knows the objects of its own only.
fn versions(object: &str, spec: Option<&PodSpec>, own: &str) -> Finding {
    let mut found = Vec::new();
    for container in CONTAINERS {
        let Some(image) = spec.and_then(|spec| image(spec, container)) else {
            return Finding::wrong(VERSIONS, object, format!("there is no container {container}"), APPLY_ALL);
        };
        let Some(tag) = tag(image) else {
            let why = format!("the image {image} of container {container} has no tag that tells its version");
            return Finding::unchecked(VERSIONS, object, why);
        };
        found.push((container, tag));
    }
    let all: Vec<String> = found.iter().map(|(container, tag)| format!("{container} {tag}")).collect();
    let all = format!("{}, kubectl-tcs {own}", all.join(", "));
    let is_one = found.iter().all(|(_, tag)| Some(*tag) == found.first().map(|(_, first)| *first));
    if !is_one {
        return Finding::wrong(VERSIONS, object, format!("they differ: {all}"), APPLY_ALL);
    }
    if found.iter().any(|(_, tag)| tag.trim_start_matches('v') != own) {
        let advice =
            "use the kubectl-tcs of the version that runs; the other findings compare with this version";
        return Finding::wrong(VERSIONS, object, format!("they differ: {all}"), advice);
    }
    Finding::good(VERSIONS, object, all)
}

fn image<'a>(spec: &'a PodSpec, container: &str) -> Option<&'a str> {
    spec.containers.iter().find(|found| found.name == container)?.image.as_deref()
}

/// The tag of an image: what follows the last colon behind the last slash, without a digest.
fn tag(image: &str) -> Option<&str> {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let last = name.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag).filter(|tag| !tag.is_empty())
}

/// The versions that run in a pod, and whether it is ready.
fn pod(found: Value, own: &str) -> Vec<Finding> {
    let pod: Pod = match decode("Pod", without_record(found)) {
        Ok(pod) => pod,
        Err(error) => return vec![Finding::of_error(PODS, SERVICE_NAMESPACE, &error)],
    };
    let name = pod.metadata.name.clone().unwrap_or_default();
    let object = format!("{SERVICE_NAMESPACE}/{name}");
    vec![versions(&object, pod.spec.as_ref(), own), readiness(&name, object, pod.status)]
}

fn readiness(name: &str, object: String, status: Option<PodStatus>) -> Finding {
    let status = status.unwrap_or_default();
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    if ready.is_some_and(|ready| ready.status == "True") {
        return Finding::good(PODS, object, "ready");
    }
    let mut why = vec![format!("not ready (phase {})", status.phase.unwrap_or_default())];
    why.extend(ready.and_then(|ready| ready.message.clone()));
    for container in status.container_statuses.iter().flatten() {
        let state = container.state.as_ref();
        if let Some(waiting) = state.and_then(|state| state.waiting.as_ref()) {
            why.push(format!("{}: {}", container.name, waiting.reason.clone().unwrap_or_default()));
        }
    }
    let advice = with_name(name, |name| {
        format!(
            "kubectl describe pod -n {SERVICE_NAMESPACE} {name}; kubectl logs -n {SERVICE_NAMESPACE} {name} --all-containers"
        )
    });
    Finding::wrong(PODS, object, why.join("; "), advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;
    use serde_json::json;

    fn of_images(controller: &str, enclave: &str) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {}, "spec": {"selector": {}, "template": {"spec": {"containers": [
                {"name": "tcs-issuer", "image": controller}, {"name": "tcs-enclave", "image": enclave},
            ]}}},
        }))
        .unwrap()
    }

    #[test]
    fn versions_must_fit_together() {
        let outcome = |controller: &str, enclave: &str| {
            let deployment = of_images(controller, enclave);
            versions("x", deployment.spec.template.spec.as_ref(), "0.1.0").outcome
        };
        assert_eq!(outcome("r:5000/a:0.1.0", "r:5000/b:v0.1.0"), Outcome::Wrong, "the two tags differ");
        assert_eq!(outcome("r:5000/a:0.1.0@sha256:00", "b:0.1.0"), Outcome::Good);
        assert_eq!(outcome("a:0.2.0", "b:0.1.0"), Outcome::Wrong);
        assert_eq!(outcome("a:0.2.0", "b:0.2.0"), Outcome::Wrong, "this program is older");
        assert_eq!(outcome("r:5000/a", "b:0.1.0"), Outcome::Unchecked);
        assert_eq!(outcome("a@sha256:00", "b:0.1.0"), Outcome::Unchecked);
    }

    fn a_pod(status: &Value) -> Value {
        json!({
            "metadata": {"name": "p"}, "status": status,
            "spec": {"containers": [
                {"name": "tcs-issuer", "image": "a:0.1.0"}, {"name": "tcs-enclave", "image": "b:0.1.0"},
            ]},
        })
    }

    fn outcomes(pods: &[Value]) -> Vec<Outcome> {
        of_pods(pods.to_vec(), "0.1.0").iter().map(|finding| finding.outcome).collect()
    }

    #[test]
    fn pods_must_be_ready() {
        let ready = a_pod(&json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        assert_eq!(outcomes(std::slice::from_ref(&ready)), [Outcome::Good, Outcome::Good]);
        let waiting = a_pod(&json!({
            "phase": "Pending",
            "containerStatuses": [{
                "name": "tcs-issuer", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff"}},
            }],
        }));
        let finding = of_pods(vec![waiting.clone()], "0.1.0").remove(1);
        assert_eq!(finding.outcome, Outcome::Wrong);
        assert!(finding.found.contains("tcs-issuer: ImagePullBackOff"), "{}", finding.found);
        assert!(finding.advice.contains("-n tcs-issuer p"), "{}", finding.advice);
        let mut hostile = waiting;
        hostile["metadata"]["name"] = json!("p;id");
        let finding = of_pods(vec![hostile], "0.1.0").remove(1);
        assert!(!finding.advice.contains("id"), "{}", finding.advice);
    }

    #[test]
    fn what_counts_is_what_runs() {
        let ready = a_pod(&json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        let mut old = ready.clone();
        old["spec"]["containers"][1]["image"] = json!("b:0.0.9");
        assert_eq!(outcomes(std::slice::from_ref(&old)), [Outcome::Wrong, Outcome::Good]);
        // Neither one that ends nor one that has ended.
        let mut ending = old;
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let failed = a_pod(&json!({"phase": "Failed"}));
        assert_eq!(outcomes(&[ending.clone(), failed, ready]), [Outcome::Good, Outcome::Good]);
        assert_eq!(outcomes(&[ending]), [Outcome::Wrong]);
    }

    #[test]
    fn replicas_must_be_available_and_current() {
        let found = |status: &Value| {
            let mut deployment = of_images("a", "b");
            deployment.metadata.generation = Some(2);
            deployment.status = serde_json::from_value(status.clone()).unwrap();
            replicas(&deployment).outcome
        };
        let good = json!({"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1});
        assert_eq!(found(&good), Outcome::Good);
        for (member, value) in [("observedGeneration", 1), ("updatedReplicas", 0), ("availableReplicas", 0)] {
            let mut wrong = good.clone();
            wrong[member] = json!(value);
            assert_eq!(found(&wrong), Outcome::Wrong, "{member}");
        }
        assert_eq!(replicas(&of_images("a", "b")).outcome, Outcome::Wrong);
    }
}
