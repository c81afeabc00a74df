//! Requests answered, and refused in the protocol's words.

use std::num::NonZeroU32;
use std::time::Duration;

use headwater_core::{Failure, FailureCode};
use headwater_nats_messaging::BoxError;
use headwater_nats_messaging::codec::{Codec, Codecs, Decode, Encode, Json, MessagePack, Proto, erased_serde};
use headwater_nats_messaging::envelope::{Attributes, Envelope};
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::router::{self, AskError, Context, Payload, Reply, Router, Shutdown, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Broker, Notes, memory, on_both};
use crate::support::PATIENCE;

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    amount: u64,
}

on_both!(scenarios:
    the_most_specific_handler_answers,
    what_goes_wrong_is_told_in_the_protocols_words,
    a_request_to_patterns_that_overlap_is_answered_once,
    a_reply_is_in_the_format_of_its_request,
);

async fn ask<B: Broker>(broker: &B, message: Message) -> Message {
    broker.request(message, Instant::now() + PATIENCE).await.unwrap()
}

fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

async fn the_most_specific_handler_answers<B: Broker>(broker: B) {
    let named = |name: &'static str| {
        move |context: Context| async move { Reply(json!({ "by": name, "wildcards": context.wildcards() })) }
    };
    let unknown = |context: Context| async move { Reply(json!({ "by": "fallback", "at": context.subject() })) };
    let prices = Router::new().on_message("price.*", named("any")).on_message("price.tea", named("tea"));
    let router: Router = Router::new().service("answering").nest("ask", prices).listen("ask.>").fallback(unknown);
    let running = router.start(broker.clone()).await.unwrap();
    for (subject, expected) in [
        ("ask.price.tea", json!({ "by": "tea", "wildcards": [] })),
        ("ask.price.rum", json!({ "by": "any", "wildcards": ["rum"] })),
        ("ask.other", json!({ "by": "fallback", "at": "ask.other" })),
    ] {
        let reply = ask(&broker, Message::new(subject, "")).await;
        assert_eq!(body(&reply), expected, "{subject}");
        assert_eq!(reply.headers.get("Content-Type"), Some("application/json"));
    }
    assert_eq!(running.shutdown(Duration::from_secs(10)).await, Shutdown::Finished);
}

async fn what_goes_wrong_is_told_in_the_protocols_words<B: Broker>(broker: B) {
    async fn handler(Payload(asked): Payload<Asked>) -> Result<Reply<u64>, BoxError> {
        match asked.amount {
            0 => Err(Failure::new(FailureCode::CommandRejected, "nothing is for nothing").into()),
            1 => Err("the password is swordfish".into()),
            2 => panic!("two is too much"),
            3 => Ok(Reply(std::future::pending().await)),
            amount => Ok(Reply(amount)),
        }
    }
    let router: Router = Router::new()
        .service("refusing")
        .on_message("wrong.ask", handler)
        .listen("wrong.>")
        .request_timeout(Duration::from_millis(200));
    let running = router.start(broker.clone()).await.unwrap();
    for (asked, code, number) in [
        (r#"{"amount":0}"#, "command-rejected", "422"),
        (r#"{"amount":1}"#, "internal", "500"),
        (r#"{"amount":2}"#, "internal", "500"),
        (r#"{"amount":3}"#, "deadline-exceeded", "504"),
        (r#"{"amount":"swordfish"}"#, "invalid-request", "400"),
        ("no JSON", "invalid-request", "400"),
    ] {
        let reply = ask(&broker, Message::new("wrong.ask", asked)).await;
        assert_eq!(reply.headers.get("Nats-Service-Error-Code"), Some(number), "{asked}");
        let told = body(&reply);
        assert_eq!((&told["success"], &told["error"]["code"]), (&json!(false), &json!(code)), "{asked}");
        assert!(!told.to_string().contains("swordfish"), "{told}");
    }
    let field = body(&ask(&broker, Message::new("wrong.ask", r#"{"amount":"x"}"#)).await);
    assert_eq!(field["error"]["details"]["field"], "amount", "{field}");
    let late = Message::new("wrong.ask", r#"{"amount":9}"#).header("Headwater-Deadline", "2020-01-01T00:00:00Z");
    assert_eq!(body(&ask(&broker, late).await)["error"]["code"], "deadline-exceeded");
    assert_eq!(body(&ask(&broker, Message::new("wrong.other", "")).await)["error"]["code"], "not-found");
    assert_eq!(body(&ask(&broker, Message::new("wrong.ask", r#"{"amount":9}"#)).await), json!(9));
    let deadline = Instant::now() + PATIENCE;
    let nine: u64 = router::ask(&broker, "wrong.ask", &Asked { amount: 9 }, deadline).await.unwrap();
    let refused = router::ask::<_, u64>(&broker, "wrong.ask", &Asked { amount: 0 }, deadline).await.unwrap_err();
    let AskError::Failed(failure) = refused else { panic!("a failure was told, not: {refused}") };
    assert_eq!((nine, failure.code), (9, FailureCode::CommandRejected));
    running.shutdown(Duration::from_secs(10)).await;
}

async fn a_request_to_patterns_that_overlap_is_answered_once<B: Broker>(broker: B) {
    let notes = Notes::default();
    let noting = |name: &'static str| {
        move |State(notes): State<Notes>| async move {
            notes.add(name);
            Reply(name)
        }
    };
    let running = Router::new()
        .service("once")
        .on_message("once.*.x", noting("first"))
        .on_message("once.b.*", noting("second"))
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    for (subject, by) in [("once.b.x", "second"), ("once.a.x", "first"), ("once.b.y", "second")] {
        assert_eq!(body(&ask(&broker, Message::new(subject, "")).await), json!(by), "{subject}");
    }
    running.shutdown(Duration::from_secs(10)).await;
    assert_eq!(notes.all(), ["second", "first", "second"]);
}

/// JSON of a type of its own, which a router knows only when it is told.
#[derive(Debug, Clone, Copy)]
struct Own;

impl Codec for Own {
    fn content_type(&self) -> &str {
        "application/x.own"
    }

    fn encode(&self, value: &dyn erased_serde::Serialize, body: &mut Vec<u8>) -> Result<(), BoxError> {
        Json.encode(value, body)
    }

    fn decode(&self, body: &[u8], read: &mut headwater_nats_messaging::codec::Read<'_>) -> Result<(), BoxError> {
        Json.decode(body, read)
    }
}

async fn a_reply_is_in_the_format_of_its_request<B: Broker>(broker: B) {
    async fn half(Payload(asked): Payload<Asked>) -> Result<Reply<Asked>, Failure> {
        match asked.amount % 2 {
            0 => Ok(Reply(Asked { amount: asked.amount / 2 })),
            _ => Err(Failure::new(FailureCode::CommandRejected, "it is odd")),
        }
    }
    let greeting = |Payload(Proto(name)): Payload<Proto<String>>| async move { Reply(Proto(format!("hello {name}"))) };
    let counting = |Payload(Proto(name)): Payload<Proto<String>>| async move { Reply(name.len()) };
    let router: Router = Router::new()
        .service("polyglot")
        .on_message("in.half", half)
        .on_message("in.nothing", || async { Reply(json!({ "amount": 4 })) })
        .on_message("in.greeting", greeting)
        .on_message("in.counting", counting)
        .codecs(Codecs::default().with(Own));
    let running = router.start(broker.clone()).await.unwrap();
    let deadline = || Instant::now() + PATIENCE;
    let written = |codec: &dyn Codec, amount: u64| {
        let mut body = Vec::new();
        Asked { amount }.encode(codec, &mut body).unwrap();
        body
    };
    let content_type = |reply: &Message| reply.headers.get("Content-Type").map(str::to_owned);

    let codecs: [&dyn Codec; 3] = [&Json, &MessagePack, &Own];
    for codec in codecs {
        let own = codec.content_type();
        for said in [own.to_owned(), format!("{}; v=1", own.to_uppercase())] {
            let asked = Message::new("in.half", written(codec, 8)).header("Content-Type", said);
            let reply = ask(&broker, asked).await;
            assert_eq!((reply.body.to_vec(), content_type(&reply).as_deref()), (written(codec, 4), Some(own)));
        }
        // A failure is JSON in whatever format was asked.
        let odd = Message::new("in.half", written(codec, 3)).header("Content-Type", own);
        let refused = ask(&broker, odd).await;
        assert_eq!(content_type(&refused).as_deref(), Some("application/json"), "{own}");
        assert_eq!(body(&refused)["error"]["code"], "command-rejected", "{own}");
    }
    // What the router does not read, and what says nothing, is answered in JSON.
    for said in [Some("image/png"), Some("application/cloudevents+json"), None] {
        let mut asked = Message::new("in.nothing", "?");
        said.into_iter().for_each(|said| asked.headers.set("Content-Type", said));
        let reply = ask(&broker, asked).await;
        assert_eq!((content_type(&reply).as_deref(), body(&reply)), (Some("application/json"), json!({ "amount": 4 })));
    }
    // In an envelope it is the data's type that counts.
    for envelope in [Envelope::CloudEvents, Envelope::CloudEventsBinary] {
        let asked = Asked { amount: 8 };
        let asked = envelope.write("in.half", &Attributes::new("1", "/till", "ask"), &asked, &MessagePack).unwrap();
        let reply = ask(&broker, asked).await;
        assert_eq!(content_type(&reply).as_deref(), Some("application/msgpack"), "{envelope:?}");
        assert_eq!(reply.body, written(&MessagePack, 4));
    }
    // Protocol Buffers are what they are; a value that is none is JSON.
    let name = Proto("Zoë".to_owned());
    let Proto(hello): Proto<String> = router::ask(&broker, "in.greeting", &name, deadline()).await.unwrap();
    let counted: usize = router::ask(&broker, "in.counting", &name, deadline()).await.unwrap();
    assert_eq!((hello.as_str(), counted), ("hello Zoë", 4));
    let wrong = ask(
        &broker,
        Message::new("in.greeting", written(&MessagePack, 1)).header("Content-Type", "application/msgpack"),
    );
    let wrong = wrong.await;
    assert_eq!(
        (content_type(&wrong).as_deref(), &body(&wrong)["error"]["code"]),
        (Some("application/json"), &json!("invalid-request"))
    );

    for (amount, half) in [(8, Some(4)), (3, None)] {
        let asked = router::ask_in::<_, Asked>(&broker, MessagePack, "in.half", &Asked { amount }, deadline()).await;
        assert_eq!(asked.ok().map(|asked| asked.amount), half);
    }
    let own: Asked = router::ask_in(&broker, Own, "in.half", &Asked { amount: 6 }, deadline()).await.unwrap();
    assert_eq!(own.amount, 3);
    assert!(Asked::decode("application/x.own", &written(&Own, 1).into(), &Codecs::default()).is_err());
    running.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn more_requests_than_may_be_under_way_are_refused_as_overloaded() {
    let (broker, begun) = (memory(), Notes::default());
    let stuck = |State(begun): State<Notes>| async move {
        begun.add("");
        std::future::pending::<()>().await;
    };
    let running = Router::new()
        .service("full")
        .on_message("full", stuck)
        .requests_in_flight(NonZeroU32::MIN)
        .with_state(begun.clone())
        .start(broker.clone())
        .await
        .unwrap();
    let first = tokio::spawn({
        let broker = broker.clone();
        async move { ask(&broker, Message::new("full", "")).await }
    });
    begun.wait(1).await;
    let refused = body(&ask(&broker, Message::new("full", "")).await);
    assert_eq!(refused["error"]["details"]["reason"], "overloaded", "{refused}");
    assert_eq!(running.shutdown(Duration::from_millis(50)).await, Shutdown::GaveUp);
    assert_eq!(body(&first.await.unwrap())["error"]["details"]["reason"], "draining");
}
