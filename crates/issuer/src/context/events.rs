//! Publishes Events, beside the path of the work that they report.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use prometheus_client::metrics::counter::Counter;
use std::env;
use tcs_api::SERVICE_ACCOUNT;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Maximum number of Events that wait to be published.
const MAX_WAITING: usize = 512;

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

/// The queue of Events to publish. Nobody waits for an Event.
pub struct EventPublisher {
    queue: Sender<(ObjectReference, Event)>,
    dropped: Counter,
}

/// The Events that wait to be published.
pub struct EventQueue(Receiver<(ObjectReference, Event)>);

impl EventPublisher {
    /// A publisher, which counts in `dropped` what finds the queue full.
    pub fn new(dropped: Counter) -> (Self, EventQueue) {
        let (queue, waiting) = channel(MAX_WAITING);
        (Self { queue, dropped }, EventQueue(waiting))
    }

    /// Enqueues an Event about an object. Events only help people: if the queue is full, because the API
    /// server is slow, the Event is dropped and counted.
    pub fn publish(&self, object: &ObjectReference, text: EventText<'_>) {
        let EventText { warning, reason, action, message } = text;
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        // The API allows at most 1024 bytes.
        let note = Some(message.chars().filter(char::is_ascii).take(1000).collect());
        let event = Event { type_, reason: reason.into(), note, action: action.into(), secondary: None };
        if self.queue.try_send((object.clone(), event)).is_err() {
            self.dropped.inc();
            tracing::debug!(reason, "too many Events wait to be published; this one is dropped");
        }
    }
}

impl EventQueue {
    /// Publishes the Events of the queue in the name of this pod, one after the other. An Event that cannot
    /// be published fails nothing.
    pub async fn publish_all(mut self, client: Client) -> anyhow::Result<()> {
        let reporter = Reporter { controller: SERVICE_ACCOUNT.into(), instance: env::var("POD_NAME").ok() };
        let recorder = Recorder::new(client, reporter);
        while let Some((object, event)) = self.0.recv().await {
            if let Err(error) = recorder.publish(&event, &object).await {
                tracing::warn!(%error, reason = event.reason, "an Event could not be published");
            }
        }
        anyhow::bail!("the queue of Events ended")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_8_5_events_beyond_the_queue_are_dropped_and_counted_and_nobody_waits() {
        let dropped = Counter::default();
        let (publisher, mut queue) = EventPublisher::new(dropped.clone());
        let text = EventText { warning: true, reason: "R", action: "A", message: "m\u{e4}\n" };
        for _ in 0..MAX_WAITING + 3 {
            publisher.publish(&ObjectReference::default(), text);
        }
        assert_eq!(dropped.get(), 3);
        let waiting: Vec<_> = std::iter::from_fn(|| queue.0.try_recv().ok()).collect();
        assert_eq!(waiting.len(), MAX_WAITING);
        let Event { type_, note, .. } = &waiting[0].1;
        assert_eq!((matches!(type_, EventType::Warning), note.as_deref()), (true, Some("m\n")));
    }
}
