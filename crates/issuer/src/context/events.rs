//! Publishes Events.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::env;
use tcs_api::SERVICE_ACCOUNT;

/// What an Event says.
#[derive(Clone, Copy)]
pub struct EventText<'a> {
    /// Warning instead of Normal.
    pub warning: bool,
    /// `CamelCase` reason.
    pub reason: &'a str,
    /// What the controller did or tried, as a `CamelCase` verb.
    pub action: &'a str,
    /// One or two sentences.
    pub message: &'a str,
}

/// Publishes Events in the name of the service.
pub struct EventPublisher(Recorder);

impl EventPublisher {
    /// A publisher for this pod.
    pub fn new(client: Client) -> Self {
        let reporter = Reporter { controller: SERVICE_ACCOUNT.into(), instance: env::var("POD_NAME").ok() };
        Self(Recorder::new(client, reporter))
    }

    /// Publishes an Event about an object. Events only help people, so an Event that cannot be published
    /// fails nothing.
    pub async fn publish(&self, object: &ObjectReference, text: EventText<'_>) {
        let EventText { warning, reason, action, message } = text;
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        // The API allows at most 1024 bytes.
        let note = Some(message.chars().filter(char::is_ascii).take(1000).collect());
        let event = Event { type_, reason: reason.into(), note, action: action.into(), secondary: None };
        if let Err(error) = self.0.publish(&event, object).await {
            tracing::warn!(%error, reason, "an Event could not be published");
        }
    }
}
