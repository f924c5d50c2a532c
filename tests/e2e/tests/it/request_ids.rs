//! One request can be followed through the logs of controller and enclave.

use crate::support::controllers::Controllers;
use crate::support::csr::Csr;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::ResourceExt as _;
use serde_json::Value;

#[test]
fn the_logs_of_controller_and_enclave_share_a_number_for_each_call() {
    let controllers = Controllers::new();
    let controller = controllers.start("logging");
    controllers.cluster.wait_until("the controller to lead", || controller.leads());
    let issuer = controllers.ready_issuer("logged");
    let request = Csr::approved(&issuer);
    request.certificate();
    let uid = controllers.cluster.get::<CertificateSigningRequest>("", &request.name).unwrap().uid().unwrap();
    let call = controllers.cluster.wait_for("the answer in the log of the controller", || {
        let log = controller.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut answers =
            lines.filter(|line| line["message"] == "the enclave answered" && line["request"] == "Issue");
        let answer = answers.find(|line| line["span"]["uid"] == uid.as_str())?;
        assert_eq!(answer["span"]["object"], request.name.as_str(), "{answer}");
        answer["call"].as_u64()
    });
    let expected = format!(" call={call} Issue -> Issued in ");
    controllers.cluster.wait_until("the line in the log of the enclave", || {
        let log = controllers.enclave.log_text().unwrap();
        log.lines().filter(|line| line.contains(&expected)).count() == 1
    });
}
