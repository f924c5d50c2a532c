//! Many requests at a time, of which each must end with exactly one certificate.

use crate::support::api_server;
use crate::support::history::{POLL, Recorder, Requests};
use crate::support::issuer::Issuer;
use crate::support::openssl;
use crate::support::wait::{DEADLINE, unique};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestSpec,
};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::time::Instant;
use tcs_testkit::process::wait_for;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Requests that are made or approved at the same time.
const AT_A_TIME: usize = 16;

/// Requests for one issuer, each with a key of its own. It talks to the API server itself, not through
/// anything that disturbs the service.
pub struct Burst<'a> {
    issuer: &'a Issuer<'a>,
    client: Client,
    made: HashMap<String, Made>,
    recorder: Recorder<CertificateSigningRequest>,
    approving: Option<JoinHandle<()>>,
    /// The tasks end with it.
    runtime: Runtime,
}

/// A request that exists.
struct Made {
    object: CertificateSigningRequest,
    /// Its public key, DER (`SubjectPublicKeyInfo`).
    key: Vec<u8>,
}

impl<'a> Burst<'a> {
    /// Makes requests, which nobody has approved yet.
    pub fn new(issuer: &'a Issuer<'a>, count: usize) -> Self {
        Self::of(issuer, count, None)
    }

    /// Makes requests of as many users, which are all in one group.
    pub fn of_users(issuer: &'a Issuer<'a>, count: usize, group: &str) -> Self {
        Self::of(issuer, count, Some(group))
    }

    fn of(issuer: &'a Issuer<'a>, count: usize, group: Option<&str>) -> Self {
        let runtime = Runtime::new().unwrap();
        let kubeconfig = issuer.cluster.stack.cluster.admin_kubeconfig();
        let client = runtime.block_on(api_server::client(&kubeconfig));
        let (prefix, signer) = (format!("{}-", unique("burst")), issuer.signer());
        let objects: Vec<_> =
            (0..count).map(|index| new_request(&format!("{prefix}{index}"), &signer)).collect();
        let api: Requests = Api::all(client.clone());
        let state = in_time(&runtime, api.list_metadata(&ListParams::default().limit(1))).unwrap();
        let recorder = Recorder::new(api.clone(), &prefix);
        runtime.spawn(recorder.clone().run(state.metadata.resource_version.unwrap()));
        let create_one = async |(object, key): (CertificateSigningRequest, Vec<u8>)| {
            let object = create(&client, &object, group).await?;
            anyhow::Ok((object.name_any(), Made { object, key }))
        };
        let making = stream::iter(objects).map(create_one).buffer_unordered(AT_A_TIME).try_collect();
        let made: HashMap<_, _> = in_time(&runtime, making).unwrap();
        Self { issuer, client, made, recorder, approving: None, runtime }
    }

    /// Begins to approve all of them. What the API server does not take is tried again.
    pub fn approve(&mut self) {
        let api: Requests = Api::all(self.client.clone());
        let objects: Vec<_> = self.made.values().map(|made| made.object.clone()).collect();
        self.approving = Some(self.runtime.spawn(async move {
            let all = stream::iter(objects);
            all.for_each_concurrent(AT_A_TIME, |object| approve(api.clone(), object)).await;
        }));
    }

    /// Approves all of them.
    pub fn approve_all(&mut self) {
        self.approve();
        self.await_approved();
    }

    fn await_approved(&mut self) {
        if let Some(approving) = self.approving.take() {
            in_time(&self.runtime, approving).unwrap();
        }
    }

    /// How many of them have a certificate.
    pub fn certified(&self) -> usize {
        self.recorder.certified()
    }

    /// How many of them have no certificate.
    pub fn open(&self) -> usize {
        self.made.len() - self.certified()
    }

    /// Waits until so many of them have a certificate.
    pub fn await_certified(&self, count: usize) {
        let what = format!("{count} certificates of a burst");
        let logs = || self.issuer.cluster.logs();
        wait_for(DEADLINE, &what, || Ok((self.certified() >= count).then_some(())))
            .unwrap_or_else(|error| panic!("{error:#}; there are {}\n{}", self.certified(), logs()));
    }

    /// Waits until all of them have a certificate, and requires that each request had this certificate and
    /// no other one in all its versions, that none failed, and that each certificate is for the request's key
    /// and below what the issuer publishes.
    pub fn check(mut self) {
        let start = Instant::now();
        self.await_certified(self.made.len());
        let signed = start.elapsed();
        self.await_approved();
        let histories = in_time(&self.runtime, self.recorder.histories()).unwrap();
        let certificates: BTreeMap<String, String> =
            histories.iter().map(|(name, history)| (name.clone(), history.only_certificate(name))).collect();
        let distinct: HashSet<_> = certificates.values().collect();
        assert_eq!((certificates.len(), distinct.len()), (self.made.len(), self.made.len()));
        self.verify(&certificates);
        let (count, checked) = (self.made.len(), start.elapsed());
        eprintln!("{count} certificates: the rest within {signed:?}, checked after {checked:?}");
    }

    fn verify(&self, certificates: &BTreeMap<String, String>) {
        let folder = self.issuer.cluster.new_folder("burst");
        let files = certificates.iter().map(|(name, pem)| {
            let (_, certificate) = pem_rfc7468::decode_vec(pem.as_bytes()).unwrap();
            let key = &self.made[name].key;
            assert!(certificate.windows(key.len()).any(|part| part == key), "{name} has another key");
            let file = folder.join(name);
            std::fs::write(&file, pem).unwrap();
            file
        });
        let files: Vec<PathBuf> = files.collect();
        openssl::verify(&self.issuer.bundle(), &files.iter().collect::<Vec<_>>());
    }
}

fn in_time<T>(runtime: &Runtime, future: impl Future<Output = T>) -> T {
    runtime.block_on(async { timeout(DEADLINE, future).await }).expect("it takes too long")
}

/// A request with a new P-256 key, and its public key.
fn new_request(name: &str, signer: &str) -> (CertificateSigningRequest, Vec<u8>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let request = rcgen::CertificateParams::new(vec!["burst.example".to_owned()]).unwrap();
    let pem = request.serialize_request(&key).unwrap().pem().unwrap();
    let mut object = CertificateSigningRequest {
        spec: CertificateSigningRequestSpec {
            request: ByteString(pem.into_bytes()),
            signer_name: signer.to_owned(),
            usages: Some(vec!["digital signature".to_owned(), "server auth".to_owned()]),
            ..CertificateSigningRequestSpec::default()
        },
        ..CertificateSigningRequest::default()
    };
    object.metadata.name = Some(name.to_owned());
    (object, rcgen::PublicKeyData::subject_public_key_info(&key))
}

/// Makes a request as the administrator or, in a group, as a user of the request's name.
async fn create(
    client: &Client,
    object: &CertificateSigningRequest,
    group: Option<&str>,
) -> anyhow::Result<CertificateSigningRequest> {
    let url = CertificateSigningRequest::url_path(&(), None);
    let body = serde_json::to_vec(object)?;
    let mut request = kube::core::Request::new(url).create(&PostParams::default(), body)?;
    if let Some(group) = group {
        request.headers_mut().insert("impersonate-user", object.name_any().parse()?);
        request.headers_mut().insert("impersonate-group", group.parse()?);
    }
    Ok(client.request(request).await?)
}

/// Approves a request, and tries again until the API server has it.
async fn approve(api: Requests, mut object: CertificateSigningRequest) {
    let name = object.name_any();
    while !is_approved(&object) {
        let approved = CertificateSigningRequestCondition {
            type_: "Approved".to_owned(),
            status: "True".to_owned(),
            reason: Some("Burst".to_owned()),
            ..CertificateSigningRequestCondition::default()
        };
        object.status.get_or_insert_default().conditions.get_or_insert_default().push(approved);
        let put = api.replace_subresource("approval", &name, &PostParams::default(), &object).await;
        if put.is_ok() {
            return;
        }
        // It may have been written all the same.
        object = loop {
            match api.get(&name).await {
                Ok(now) => break now,
                Err(_) => sleep(POLL).await,
            }
        };
    }
}

fn is_approved(object: &CertificateSigningRequest) -> bool {
    let conditions = object.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Approved")
}
