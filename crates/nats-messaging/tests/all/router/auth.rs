//! Handlers that know who sent a message, and messages that are not let through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use headwater_nats::auth::{Algorithm, Denied, Jwt, JwtKey, NkeyUser, Nkeys};
use headwater_nats::header;
use headwater_nats::rate_limit::Rate;
use headwater_nats::signature::Signer;
use headwater_nats_messaging::BoxError;
use headwater_nats_messaging::dead_letter::{Cause, DeadLetters, Selection};
use headwater_nats_messaging::exchange::Exchange as _;
use headwater_nats_messaging::layer::{Auth, AuthLayer, Authenticate, Caller, RateLimit, Rule};
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::router::{Context, Reply, Router, State};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{Broker, Notes, memory, on_both, quick};
use crate::support::working::{store, until};
use crate::support::{PATIENCE, publish};

on_both!(scenarios:
    an_event_without_good_credentials_is_not_handled_and_its_dead_letter_says_why,
    a_request_without_good_credentials_is_told_so,
    a_signed_event_may_come_again_and_a_copy_of_it_may_not,
);

/// Made for these tests; it opens nothing.
const SECRET: &[u8] = b"not a secret: thirty-two bytes and more";

/// Auth by tokens, for clerks; and the folder with its key.
async fn clerks(subjects: &str) -> (TempDir, AuthLayer) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, SECRET).unwrap();
    let jwt = Jwt::new(JwtKey::file(file, Algorithm::Hs256)).clock_skew(Duration::ZERO);
    let auth = Auth::default().jwt(jwt).roles(["clerk"]).rule(Rule::allow([subjects]).role("clerk"));
    (folder, auth.layer().await.unwrap())
}

/// A token with these claims beside its `exp`, so many seconds from now.
fn token(seconds: i64, claims: &Value) -> String {
    let mut claims = claims.clone();
    claims["exp"] = (Utc::now().timestamp() + seconds).into();
    format!("Bearer {}", encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap())
}

fn mia() -> Value {
    json!({ "sub": "mia", "roles": ["clerk"] })
}

async fn noting(caller: Caller, State(notes): State<Notes>) {
    notes.add(caller.user());
}

async fn an_event_without_good_credentials_is_not_handled_and_its_dead_letter_says_why<B: Broker>(broker: B) {
    let (notes, (_folder, auth)) = (Notes::default(), clerks("orders.guarded.*").await);
    let letters = DeadLetters::new(broker.clone(), "DEAD");
    let running = Router::new()
        .service("guarded")
        .processing(quick().dead_letters(letters.clone()))
        .on_event("orders.guarded.>", noting)
        .layer(auth.clone())
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    let tenants = json!({ "sub": "bo", "roles": ["clerk"], "tenant": "north" });
    let event = |tenant: &str| {
        let event = json!({
            "specversion": "1.0", "id": "7", "source": "/shop", "type": "placed", "tenantid": tenant, "data": {}
        });
        Message::new("orders.guarded.7", event.to_string()).header("Content-Type", "application/cloudevents+json")
    };
    let plain = |authorization: &str| Message::new("orders.guarded.7", "").header("Authorization", authorization);
    for message in [
        plain(&token(60, &mia())),
        event("north").header("Authorization", token(60, &tenants)),
        Message::new("orders.guarded.7", ""),
        plain(&token(-60, &mia())),
        plain("Bearer rubbish"),
        plain(&token(60, &json!({ "sub": "eve", "roles": ["guest"] }))),
        Message { subject: "orders.guarded.7.8".to_owned(), ..plain(&token(60, &mia())) },
        event("south").header("Authorization", token(60, &tenants)),
    ] {
        publish(&broker, message).await.unwrap();
    }
    let mut handled = notes.wait(2).await;
    let consumer = running.consumers().next().unwrap().durable.clone();
    let dead = headwater_testkit::wait_until(PATIENCE, "the others are dead", async || {
        let dead = letters.list(&Selection::of("ORDERS", &consumer)).await.unwrap();
        (dead.len() == 6).then_some(dead)
    })
    .await;
    let mut reasons: Vec<_> = dead.iter().map(|dead| (dead.letter.sequence, dead.letter.reason.as_str())).collect();
    reasons.sort_unstable();
    let reasons: Vec<_> =
        reasons.into_iter().map(|(_, reason)| reason.trim_start_matches("not let through: ")).collect();
    assert_eq!(reasons, ["missing", "expired", "malformed", "not-allowed", "not-allowed", "other-tenant"]);
    assert!(dead.iter().all(|dead| dead.letter.cause == Cause::Poison && dead.letter.deliveries == 1), "{dead:?}");
    handled.sort();
    assert_eq!((handled, notes.all().len()), (vec!["bo".to_owned(), "mia".to_owned()], 2));
    let stats = auth.stats();
    assert_eq!((stats.allowed, stats.refused["not-allowed"]), (2, 2), "{stats:?}");
    running.shutdown(Duration::from_secs(10)).await;
}

async fn a_request_without_good_credentials_is_told_so<B: Broker>(broker: B) {
    let (_folder, auth) = clerks("guarded.*").await;
    // The caller that the limit counts is the one that was verified.
    let limit = RateLimit::default().caller(Rate::per_minute(1)).layer().unwrap();
    let who = |caller: Caller| async move { Reply(caller.user().to_owned()) };
    let router: Router =
        Router::new().service("guarding").on_message("guarded.>", who).layer(limit.clone()).layer(auth.clone());
    let running = router.start(broker.clone()).await.unwrap();
    let ask = async |subject: &str, authorization: Option<&str>| -> Value {
        let message = Message::new(subject, "");
        let message = authorization.into_iter().fold(message, |message, text| message.header("Authorization", text));
        let reply = broker.request(message, Instant::now() + PATIENCE).await.unwrap();
        serde_json::from_slice(&reply.body).unwrap()
    };
    let (mia, bo) = (token(60, &mia()), token(60, &json!({ "sub": "bo", "roles": "clerk" })));
    assert_eq!(ask("guarded.ask", Some(&mia)).await, json!("mia"));
    assert_eq!(ask("guarded.ask", Some(&bo)).await, json!("bo"));
    assert_eq!(ask("guarded.ask", Some(&mia)).await["error"]["details"]["limit"], "caller");
    let unknown = ask("guarded.ask", None).await["error"].clone();
    assert_eq!(unknown["code"], "unauthenticated");
    assert_eq!(unknown, ask("guarded.ask", Some(&token(-60, &json!({ "sub": "mia" })))).await["error"], "no hint why");
    assert_eq!(ask("guarded.ask.more", Some(&mia)).await["error"]["code"], "forbidden");
    assert_eq!(limit.stats().keys, 2, "who is not let through is not counted");
    running.shutdown(Duration::from_secs(10)).await;
}

async fn a_signed_event_may_come_again_and_a_copy_of_it_may_not<B: Broker>(broker: B) {
    let (signer, tries) = (Signer::generate(), Arc::new(AtomicU32::new(0)));
    let till = NkeyUser::new(signer.public_key(), "till-7");
    let auth = Auth::default().nkeys(Nkeys::default().allow(till)).rule(Rule::allow([">"])).layer().await.unwrap();
    let handler = |caller: Arc<Caller>, State(tries): State<Arc<AtomicU32>>| async move {
        assert_eq!(caller.user(), "till-7");
        if tries.fetch_add(1, Ordering::SeqCst) == 0 { Err::<(), BoxError>("not yet".into()) } else { Ok(()) }
    };
    let letters = DeadLetters::new(broker.clone(), "DEAD");
    let running = Router::new()
        .service("signed")
        .processing(quick().dead_letters(letters))
        .on_event("orders.signed", handler)
        .layer(auth.clone())
        .with_state(Arc::clone(&tries))
        .start(broker.clone())
        .await
        .unwrap();
    let signed = header::SIGNED.into_iter().zip(signer.sign("orders.signed", b"{}", Utc::now()));
    let message =
        signed.fold(Message::new("orders.signed", "{}"), |message, (name, value)| message.header(name, value));
    publish(&broker, message.clone()).await.unwrap();
    let (_, processor) = running.processors().next().unwrap();
    headwater_testkit::wait_until(PATIENCE, "it is handled the second time", async || {
        (processor.stats().handled == 1).then_some(())
    })
    .await;
    publish(&broker, message).await.unwrap();
    headwater_testkit::wait_until(PATIENCE, "the copy is dead", async || {
        (processor.stats().dead_letters == 1).then_some(())
    })
    .await;
    assert_eq!((tries.load(Ordering::SeqCst), auth.stats().refused["replayed"]), (2, 1));
    running.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_redriven_event_is_taken_with_its_old_token_only_where_that_is_allowed() {
    for trust in [false, true] {
        let (broker, notes, folder) = (memory(), Notes::default(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("key"), SECRET).unwrap();
        let jwt = Jwt::new(JwtKey::file(folder.path().join("key"), Algorithm::Hs256));
        let auth = Auth::default().jwt(jwt).rule(Rule::allow([">"])).trust_redriven(trust).layer().await.unwrap();
        let letters = DeadLetters::new(broker.clone(), "DEAD");
        let router = Router::new().service("again").processing(quick().dead_letters(letters.clone()));
        let router = router.on_event("orders.again", noting).layer(auth).with_state(notes.clone());
        let running = router.start(broker.clone()).await.unwrap();
        // Too old already when it is stored, so that it dies without waiting for that.
        let old = Message::new("orders.again", "").header("Authorization", token(-3600, &mia()));
        publish(&broker, old.clone()).await.unwrap();
        let all = Selection::of("ORDERS", &running.consumers().next().unwrap().durable);
        let died = async |times: u32| {
            let letters = letters.list(&all).await.unwrap();
            letters.iter().any(|dead| dead.letter.redriven == times).then_some(())
        };
        headwater_testkit::wait_until(PATIENCE, "it is dead", async || died(0).await).await;
        assert_eq!(letters.redrive(&all, false, PATIENCE).await.unwrap().redriven, 1);
        if trust {
            assert_eq!(notes.wait(1).await, ["mia"]);
        } else {
            headwater_testkit::wait_until(PATIENCE, "it is dead again", async || died(1).await).await;
            assert!(notes.all().is_empty());
        }
        let forged = Message { headers: [("Authorization", "Bearer x.y.z")].into_iter().collect(), ..old };
        let forged = forged.header("Headwater-Redriven", "1").header("Headwater-Redriven-Origin", "1");
        publish(&broker, forged).await.unwrap();
        let (_, processor) = running.processors().next().unwrap();
        headwater_testkit::wait_until(PATIENCE, "a bad token stays bad", async || {
            (processor.stats().dead_letters == if trust { 2 } else { 3 }).then_some(())
        })
        .await;
        running.shutdown(Duration::from_secs(10)).await;
    }
}

#[tokio::test]
async fn an_event_is_judged_by_the_time_at_which_it_was_stored() {
    let (broker, notes, (_folder, auth)) = (memory(), Notes::default(), clerks(">").await);
    let soon_over = token(2, &mia());
    let message = Message::new("orders.late", "").header("Authorization", &*soon_over);
    publish(&broker, message.clone()).await.unwrap();
    sleep(Duration::from_millis(3100)).await;
    let late = |context: Context, State(notes): State<Notes>| async move {
        notes.add(context.caller().unwrap().user());
        Reply(1)
    };
    let running = Router::new()
        .service("late")
        .processing(quick().dead_letters(DeadLetters::new(broker.clone(), "DEAD")))
        .on_event("orders.late", noting)
        .on_message("late.ask", late)
        .layer(auth)
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    assert_eq!(notes.wait(1).await, ["mia"]);
    publish(&broker, message.clone()).await.unwrap();
    headwater_testkit::wait_until(PATIENCE, "the one that was stored late is dead", async || {
        broker.messages("DEAD").pop()
    })
    .await;
    let request = Message { subject: "late.ask".to_owned(), ..message };
    let reply = broker.request(request, Instant::now() + PATIENCE).await.unwrap();
    assert_eq!(reply.headers.get("Nats-Service-Error-Code"), Some("401"));
    running.shutdown(Duration::from_secs(10)).await;
}

/// Knows nobody at first.
#[derive(Debug, Default)]
struct Slow(AtomicU32);

impl Authenticate for Slow {
    fn recognises(&self, context: &Context) -> bool {
        context.headers().get("X-Key").is_some()
    }

    fn authenticate(&self, context: Context) -> BoxFuture<'static, Result<Caller, Denied>> {
        let is_early = self.0.fetch_add(1, Ordering::SeqCst) < 2;
        async move {
            match context.headers().get("X-Key") {
                Some("good") if is_early => Err(Denied::Unavailable),
                Some("good") => Ok(Caller::new("till-7")),
                _ => Err(Denied::Unauthenticated),
            }
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn while_nobody_can_tell_who_sent_it_an_event_waits_and_a_request_is_refused() {
    let (broker, notes) = (memory(), Notes::default());
    let auth = Auth::default().authenticator(Slow::default()).rule(Rule::allow([">"])).layer().await.unwrap();
    let running = Router::new()
        .service("slowly")
        .processing(quick().dead_letters(DeadLetters::new(broker.clone(), "DEAD")))
        .on_event("orders.slowly", noting)
        .on_message("slowly.ask", |caller: Option<Caller>| async move { Reply(caller.is_some()) })
        .layer(auth.clone())
        .with_state(notes.clone())
        .start(broker.clone())
        .await
        .unwrap();
    let ask = async |key: &str| {
        let request = Message::new("slowly.ask", "").header("X-Key", key);
        let reply = broker.request(request, Instant::now() + PATIENCE).await.unwrap();
        serde_json::from_slice::<Value>(&reply.body).unwrap()
    };
    let refused = ask("good").await;
    assert_eq!(
        (&refused["error"]["code"], &refused["error"]["details"]["reason"]),
        (&json!("unavailable"), &json!("auth"))
    );
    store(&broker, Message::new("orders.slowly", "").header("X-Key", "good")).await;
    until("it is handled", || notes.all() == ["till-7"]).await;
    let (_, processor) = running.processors().next().unwrap();
    assert_eq!((processor.stats().postponed, processor.stats().failures), (1, 0));
    assert_eq!(ask("good").await, json!(true));
    assert_eq!(ask("bad").await["error"]["code"], "unauthenticated");
    assert_eq!((auth.stats().refused["unavailable"], auth.stats().refused["refused"]), (2, 1));
    running.shutdown(Duration::from_secs(1)).await;
}
