//! Who is calling, by a signature or a password.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use argon2::{Argon2, Params};
use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use headwater_nats::header;
use headwater_nats::signature::Signer;
use headwater_nats_service::RunningService;
use headwater_nats_service::auth::{Auth, Basic, JwtKey, NkeyUser, Nkeys};
use headwater_testkit::TestServer;
use serde_json::json;

use crate::auth::{ADD, forbidden, on_behalf_of, refused, tally};
use crate::support::{World, body, connection, tallies};
use crate::tokens::{Files, Key, bearer, clerks, jwt};

/// A signed request.
fn signed(signer: &Signer, subject: &str, body: &str) -> HeaderMap {
    signed_at(signer, subject, body, TimeDelta::zero())
}

fn signed_at(signer: &Signer, subject: &str, body: &str, from_now: TimeDelta) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let values = signer.sign(subject, body.as_bytes(), Utc::now() + from_now);
    header::SIGNED.into_iter().zip(values).for_each(|(name, value)| headers.insert(name, value));
    headers
}

fn till(signer: &Signer) -> Auth {
    clerks(Auth::default().nkeys(Nkeys::default().allow(NkeyUser::new(signer.public_key(), "till-7").role("clerk"))))
}

fn add(id: &str, command_id: &str) -> String {
    json!({ "aggregateId": id, "command": { "amount": 1 }, "metadata": { "commandId": command_id } }).to_string()
}

#[tokio::test]
async fn a_signed_request_is_taken_once_and_only_as_it_was_signed() {
    let signer = Signer::generate();
    let world = World::with(|service| service.auth(till(&signer))).await;
    let (first, headers) = (add("t", "c-1"), signed(&signer, ADD, &add("t", "c-1")));
    world.caller.ask_with(ADD, headers.clone(), first.clone()).await.result();
    refused(&world.caller.ask_with(ADD, headers, first.clone()).await);

    let stranger = signed(&Signer::generate(), ADD, &first);
    let other_subject = signed(&signer, "tallies.command.tally.pad", &first);
    let other_body = signed(&signer, ADD, &add("t", "c-2"));
    let stale = signed_at(&signer, ADD, &first, TimeDelta::seconds(-40));
    let early = signed_at(&signer, ADD, &first, TimeDelta::seconds(40));
    let mut partial = signed(&signer, ADD, &first);
    partial.insert(header::TIME, "now");
    let mut forged = signed(&signer, ADD, &first);
    forged.insert(header::SIGNATURE, "rubbish");
    for headers in [stranger, other_subject, other_body, stale, early, partial, forged, HeaderMap::new()] {
        refused(&world.caller.ask_with(ADD, headers, first.clone()).await);
    }
    let refusals = world.service.stats().auth.unwrap().refused;
    let expected =
        [("expired", 1), ("malformed", 1), ("missing", 1), ("not-yet-valid", 1), ("replayed", 1), ("wrong-key", 4)];
    assert_eq!(refusals.into_iter().collect::<Vec<_>>(), expected);

    // A retry is signed anew, and gets the answer of the first.
    let again = world.caller.ask_with(ADD, signed(&signer, ADD, &first), first).await;
    assert_eq!((&again.result()["revision"], &again.body["metadata"]["replayed"]), (&json!(1), &json!(true)));
    // Without an id for the command, a repeat at another instance would take effect twice.
    let nameless = body("t", &json!({ "amount": 1 }));
    let reply = world.caller.ask_with(ADD, signed(&signer, ADD, &nameless), nameless.clone()).await;
    assert!(reply.failure(400, "invalid-request")["message"].as_str().unwrap().contains("commandId"));
    // A query needs none.
    let get = json!({ "aggregateId": "t" }).to_string();
    let subject = "tallies.query.tally.get";
    let reply = world.caller.ask_with(subject, signed(&signer, subject, &get), get).await;
    assert_eq!(reply.result()["state"]["total"], 1);
    assert_eq!(on_behalf_of(&world, &tally("t")).await, [(Some("till-7".to_owned()), None)]);
}

#[tokio::test]
async fn a_signature_repeated_at_another_instance_has_no_second_effect() {
    let signer = Signer::generate();
    let server = TestServer::start().await;
    // Not in one queue group, so that both get the request.
    let world = World::on(server, |service| service.auth(till(&signer)).no_queue_group()).await;
    let other = tallies(&world.store).auth(till(&signer)).no_queue_group();
    let other = other.start(connection(&world.server).await).await.unwrap();
    let request = add("t", "c-1");
    world.caller.ask_with(ADD, signed(&signer, ADD, &request), request).await.result();
    headwater_testkit::wait_until(Duration::from_secs(10), "both instances to have done it", async || {
        let done =
            |instance: &RunningService| instance.stats().auth.unwrap().allowed == 1 && instance.stats().in_flight == 0;
        (done(&world.service) && done(&other)).then_some(())
    })
    .await;
    assert_eq!(on_behalf_of(&world, &tally("t")).await.len(), 1);
}

pub(crate) fn hash(password: &str) -> String {
    let quick = Argon2::from(Params::new(64, 1, 1, None).unwrap());
    quick.hash_password_with_salt(password.as_bytes(), b"a salt for tests").unwrap().to_string()
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

#[tokio::test]
async fn a_password_opens_the_door_and_is_not_hashed_every_time() {
    let files = Files::new();
    let path = files.write("users", format!("mia:{}:clerk:north\nbo:{}\n", hash("right"), hash("b")));
    let auth = clerks(Auth::default().basic(Basic::new(path)));
    let world = World::with(|service| service.auth(auth)).await;
    for _ in 0..3 {
        world.caller.add("t", &basic("mia", "right")).await.result();
    }
    forbidden(&world.caller.add("t", &basic("bo", "b")).await);
    for wrong in
        [basic("mia", "wrong"), basic("mia", ""), basic("eve", "right"), "Basic !!".to_owned(), "Basic".to_owned()]
    {
        refused(&world.caller.add("t", &wrong).await);
    }
    let clerk = (Some("mia".to_owned()), Some("north".to_owned()));
    assert_eq!(on_behalf_of(&world, &tally("t")).await, [clerk.clone(), clerk.clone(), clerk]);
    assert_eq!(world.service.stats().auth.unwrap().refused["wrong-password"], 3);
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_is_bounded_and_tokens_still_pass() {
    let (files, key) = (Files::new(), Key::secret());
    let users = files.write("users", format!("mia:{}:clerk", hash("right")));
    let tokens = jwt(JwtKey::file(files.write("key", &key.public), key.algorithm()));
    let auth = clerks(Auth::default().basic(Basic::new(users).hashing(1)).jwt(tokens));
    let world = World::with(|service| service.auth(auth)).await;
    let flood: Vec<_> = (0..200).map(|number| basic("mia", &number.to_string())).collect();
    let flood = join_all(flood.iter().map(|wrong| world.caller.add("t", wrong)));
    let token = bearer(&key.token());
    let (answers, token) = tokio::join!(flood, world.caller.add("t", &token));
    token.result();
    let (mut wrong, mut busy) = (0, 0);
    for answer in answers {
        match answer.body["error"]["code"].as_str() {
            Some("unauthenticated") => wrong += 1,
            Some("unavailable") => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(wrong >= 16 && busy > 0, "{wrong} were looked at, {busy} turned away");
}
