//! Families of events, published and handled.

use std::sync::Arc;
use std::time::Duration;

use headwater_nats_messaging::family::EventFamily;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::publisher::Publisher;
use headwater_nats_messaging::router::{Context, Router, StartError, State};
use serde::{Deserialize, Serialize};

use super::{Broker, Notes, memory, on_both};
use crate::support::publish;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct AgentFailed {
    agent_id: String,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, EventFamily)]
#[event(reads = "agent.>")]
enum AgentEvent {
    #[event(name = "agent.started")]
    Started { agent_id: String, tools: Vec<String> },
    #[event(name = "agent.failed", subject = "agent.{agent_id}.failed")]
    Failed(AgentFailed),
    #[event(name = "agent.swept")]
    Swept,
}

fn events() -> [AgentEvent; 3] {
    [
        AgentEvent::Started { agent_id: "7".to_owned(), tools: vec!["saw".to_owned()] },
        AgentEvent::Failed(AgentFailed { agent_id: "a.7".to_owned(), reason: "late".to_owned() }),
        AgentEvent::Swept,
    ]
}

on_both!(scenarios: handlers_of_all_and_of_single_variants_have_their_events);

async fn handlers_of_all_and_of_single_variants_have_their_events<B: Broker>(broker: B) {
    async fn all(event: AgentEvent, State(notes): State<Notes>, context: Context) {
        notes.add(format!("all {} {}", event.name(), context.subject()));
    }
    async fn failed(event: AgentEvent, State(notes): State<Notes>) {
        let AgentEvent::Failed(failed) = event else { panic!("only failures come here") };
        notes.add(format!("failed {} {}", failed.agent_id, failed.reason));
    }
    let notes = Notes::default();
    let running = Router::new()
        .service("watcher")
        .on_family::<AgentEvent, _>(all)
        .on_variant::<AgentEvent, _>("agent.failed", failed)
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    let [config] = &running.consumers().collect::<Vec<_>>()[..] else { panic!("one consumer: {running:?}") };
    assert_eq!((config.stream.as_str(), config.durable.as_str()), ("AGENT_EVENTS", "watcher__agent-event"));
    assert_eq!(config.filter_subjects, ["agent.>"]);

    let publisher = Publisher::builder(Arc::new(broker.clone()), "/agents").build().unwrap();
    for event in events() {
        publisher.publish_event(&event).await.unwrap();
    }
    // Without an envelope the subject tells what it is; what the family does not know is passed over.
    publish(&broker, Message::new("agent.8.failed", r#"{"agent_id":"8","reason":"bare"}"#)).await.unwrap();
    publisher.publish("agent.retired", &1).event_type("agent.retired").await.unwrap();
    let mut noted = notes.wait(6).await;
    noted.sort();
    assert_eq!(
        noted,
        [
            "all agent.failed agent.8.failed",
            "all agent.failed agent.a%2E7.failed",
            "all agent.started agent.started",
            "all agent.swept agent.swept",
            "failed 8 bare",
            "failed a.7 late",
        ]
    );
    running.shutdown(Duration::from_secs(10)).await;
    assert_eq!(notes.all().len(), 6);
}

#[tokio::test]
async fn a_variant_that_the_family_does_not_have_is_told_at_the_start() {
    let router: Router = Router::new().service("watcher").on_variant::<AgentEvent, _>("agent.strated", || async {});
    let Err(StartError::Problems(problems)) = router.start(memory()).await else { panic!("it cannot start") };
    let told = problems[0].to_string();
    assert!(told.contains("`agent.strated`") && told.contains("agent.started, agent.failed, agent.swept"), "{told}");
}
