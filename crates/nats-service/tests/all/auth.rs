//! Who is calling, and what they may do.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::auth_proofs::hash;
use crate::support;
use crate::tokens;

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use headwater_core::AggregateId;
use headwater_core::store::{EventStore, ReadOptions};
use headwater_nats::header;
use headwater_nats_service::auth::{
    Auth, Authenticate, Basic, Credentials, Denied, Jwt, JwtKey, NkeyUser, Nkeys, Rule,
};
use headwater_nats_service::edge::{Caller as Verified, Request};
use headwater_nats_service::{Service, StartError};
use headwater_testkit::TestServer;
use serde_json::{Value, json};
use support::{Caller, Reply, World, body, connection, headers, tallies};
use tokens::{Files, Key, bearer, but, claims, clerks, jwt, without};

const NO_CREDENTIALS: &str = "the request carries no valid credentials";

pub(crate) const ADD: &str = "tallies.command.tally.add";

/// A service that takes tokens signed with a key.
async fn with_tokens(key: &Key) -> (World, Files) {
    let files = Files::new();
    let path = files.write("key", &key.public);
    let auth = clerks(Auth::default().jwt(jwt(JwtKey::file(path, key.algorithm()))));
    (World::with(|service| service.auth(auth)).await, files)
}

/// What the caller is told about every kind of bad credentials.
#[track_caller]
pub(crate) fn refused(reply: &Reply) {
    let error = reply.failure(401, "unauthenticated");
    assert_eq!(error["message"], NO_CREDENTIALS);
    assert!(error.get("details").is_none_or(|details| details == &json!({})), "{error:#}");
}

#[track_caller]
pub(crate) fn forbidden(reply: &Reply) {
    let error = reply.failure(403, "forbidden");
    assert!(error.get("details").is_none_or(|details| details == &json!({})), "{error:#}");
}

/// The users and tenants of an aggregate's events.
pub(crate) async fn on_behalf_of(world: &World, aggregate: &AggregateId) -> Vec<(Option<String>, Option<String>)> {
    let history = world.store.read(aggregate, ReadOptions::default()).await.unwrap();
    let metadata = history.events.iter().map(|recorded| &recorded.event.metadata);
    metadata.map(|metadata| (metadata.user_id.clone(), metadata.tenant_id.clone())).collect()
}

pub(crate) fn tally(id: &str) -> AggregateId {
    AggregateId::new("tally", id).unwrap()
}

#[tokio::test]
async fn a_token_of_every_kind_opens_the_door_and_its_user_is_stored() {
    for key in [Key::secret(), Key::rsa(), Key::p256(), Key::ed25519()] {
        let (world, _files) = with_tokens(&key).await;
        let token = bearer(&key.token());
        assert_eq!(world.caller.add("t", &token).await.result()["revision"], 1, "{:?}", key.signing);
        assert_eq!(world.caller.get_with("t", &token).await.result()["state"]["total"], 1);
        let clerk = (Some("mia".to_owned()), Some("north".to_owned()));
        assert_eq!(on_behalf_of(&world, &tally("t")).await, [clerk]);
        // The scheme's letters may be of any case, and the header's too.
        let odd = headers([("authorization", &format!("bEaReR {}", key.token()))]);
        world.caller.ask_with("tallies.command.tally.add", odd, body("t", &json!({ "amount": 1 }))).await.result();
        let stats = world.service.stats().auth.unwrap();
        assert_eq!((stats.allowed, stats.refused.len()), (3, 0));
    }
}

/// Cargo sets a variable that is long enough for a secret.
#[tokio::test]
async fn a_key_may_come_from_the_environment() {
    let name = "CARGO_PKG_DESCRIPTION";
    let secret = std::env::var(name).expect("cargo runs the tests");
    let private = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let key = Key { private, public: secret, ..Key::secret() };
    let auth = clerks(Auth::default().jwt(jwt(JwtKey::env(name, key.algorithm()))));
    let world = World::with(|service| service.auth(auth)).await;
    world.caller.add("t", &bearer(&key.token())).await.result();
    refused(&world.caller.add("t", &bearer(&Key::secret().token())).await);
}

/// A token put together by hand.
fn forged(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn every_bad_token_gets_the_same_answer_and_is_counted_by_its_reason() {
    let key = Key::rsa();
    let (world, _files) = with_tokens(&key).await;
    let now = Utc::now().timestamp();
    // Whoever has only the public key signs with it as if it were a secret.
    let confused = {
        let public = jsonwebtoken::EncodingKey::from_secret(key.public.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256), &claims(), &public).unwrap()
    };
    let good = key.token();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let critical = {
        let header = json!({ "alg": "RS256", "crit": ["b64"], "b64": false });
        forged(&header, &claims(), signature)
    };
    let bad = [
        ("malformed", String::new()),
        ("malformed", "rubbish".to_owned()),
        ("malformed", "a.b.c".to_owned()),
        ("malformed", message.to_owned()),
        ("malformed", format!("{good}.{signature}")),
        ("malformed", forged(&json!({ "alg": "none", "typ": "JWT" }), &claims(), "")),
        ("malformed", forged(&json!({ "alg": "NONE" }), &claims(), signature)),
        ("malformed", critical),
        ("malformed", key.sign(&without("exp"))),
        ("malformed", key.sign(&but("exp", json!("tomorrow")))),
        ("malformed", key.sign(&without("sub"))),
        ("malformed", key.sign(&but("sub", json!("two\nlines")))),
        ("wrong-algorithm", confused),
        ("wrong-algorithm", Key::secret().token()),
        ("wrong-algorithm", Key::p256().token()),
        ("wrong-key", format!("{message}.{}", URL_SAFE_NO_PAD.encode([7; 256]))),
        ("wrong-key", forged(&json!({ "alg": "RS256" }), &but("sub", json!("eve")), signature)),
        ("expired", key.sign(&but("exp", json!(now - 31)))),
        ("expired", key.sign(&but("exp", json!(0)))),
        ("not-yet-valid", key.sign(&but("nbf", json!(now + 60)))),
        ("not-yet-valid", key.sign(&but("iat", json!(now + 60)))),
        ("wrong-audience", key.sign(&but("aud", json!("others")))),
        ("wrong-audience", key.sign(&without("aud"))),
        ("wrong-issuer", key.sign(&but("iss", json!("https://evil.test")))),
        ("wrong-issuer", key.sign(&without("iss"))),
        ("oversized", key.sign(&but("note", json!("x".repeat(4096))))),
        ("oversized", "x".repeat(5000)),
    ];
    let mut counted = std::collections::BTreeMap::new();
    for (reason, token) in &bad {
        let reply = world.caller.add("t", &bearer(token)).await;
        refused(&reply);
        *counted.entry(*reason).or_insert(0) += 1;
        assert_eq!(world.service.stats().auth.unwrap().refused, counted, "{token:.60}");
    }
    for (reason, headers) in [
        ("missing", HeaderMap::new()),
        ("missing", headers([("Authorization", "Digest abc")])),
        ("missing", headers([("Authorization", &format!("Basic {}", STANDARD.encode("mia:x")))])),
        ("malformed", headers([("Authorization", "Bearer")])),
        ("malformed", headers([("Authorization", "")])),
    ] {
        refused(&world.caller.ask_with("tallies.command.tally.add", headers, body("t", &json!({ "amount": 1 }))).await);
        *counted.entry(reason).or_insert(0) += 1;
        assert_eq!(world.service.stats().auth.unwrap().refused, counted);
    }
    // A little out of time is within what clocks may differ, and the door still works.
    world.caller.add("t", &bearer(&key.sign(&but("exp", json!(now - 20))))).await.result();
    world.caller.add("t", &bearer(&key.sign(&but("nbf", json!(now + 20))))).await.result();
    assert_eq!(world.caller.add("t", &bearer(&good)).await.result()["revision"], 3);
}

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let key = Key::secret();
    let files = Files::new();
    let path = files.write("key", &key.public);
    let settings = jwt(JwtKey::file(path, key.algorithm())).clock_skew(Duration::ZERO);
    let world = World::with(|service| service.auth(clerks(Auth::default().jwt(settings)))).await;
    let token = bearer(&key.sign(&but("exp", json!(Utc::now().timestamp() + 2))));
    world.caller.add("t", &token).await.result();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while world.caller.get_with("t", &token).await.body["success"] == true {
        assert!(tokio::time::Instant::now() < deadline, "the token is still good");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    refused(&world.caller.add("t", &token).await);
    assert_eq!(world.service.stats().auth.unwrap().refused["expired"], 2);
}

#[tokio::test]
async fn nothing_is_allowed_that_no_rule_allows() {
    let key = Key::secret();
    let (world, _files) = with_tokens(&key).await;
    let clerk = bearer(&key.token());
    world.caller.add("t", &clerk).await.result();
    let ask = async |subject: &str, body: Value, token: &str| {
        world.caller.ask_with(subject, headers([("Authorization", token)]), body.to_string()).await
    };
    let id = json!({ "aggregateId": "t" });
    forbidden(
        &ask("tallies.command.tally.pad", json!({ "aggregateId": "t", "command": { "bytes": 1 } }), &clerk).await,
    );
    forbidden(&ask("tallies.query.tally.history", id.clone(), &clerk).await);
    let auditor = bearer(&key.sign(&but("roles", json!("auditor of everything"))));
    ask("tallies.query.tally.history", id.clone(), &auditor).await.result();
    ask("tallies.query.tally.is-above", json!({ "aggregateId": "t", "query": { "limit": 0 } }), &auditor)
        .await
        .result();
    forbidden(&world.caller.add("t", &auditor).await);
    // A role that nobody knows means nothing, and a caller without any gets nothing.
    for roles in [json!(["admin", "root"]), json!([]), Value::Null] {
        forbidden(&world.caller.get_with("t", &bearer(&key.sign(&but("roles", roles)))).await);
    }
    // Rubbish is not even read.
    forbidden(&ask("tallies.command.tally.pad", json!("rubbish"), &clerk).await);
    assert_eq!(world.service.stats().auth.unwrap().refused["not-allowed"], 7);
}

#[tokio::test]
async fn rules_may_ask_for_tenants_and_claims() {
    let key = Key::secret();
    let files = Files::new();
    let path = files.write("key", &key.public);
    let settings: Settings = toml::from_str(&format!(
        r#"
        [auth]
        roles = ["clerk"]
        [auth.jwt]
        key = {{ file = "{}", algorithm = "HS256" }}
        audience = ["tallies"]
        clock_skew = "10s"
        [[auth.rules]]
        commands = ["tally.*"]
        tenants = ["north", "south"]
        [auth.rules.claims]
        department = "sales"
        [[auth.rules]]
        queries = ["tally.get"]
        [auth.rules.claims]
        "/device/kind" = "till"
        "#,
        path.display()
    ))
    .unwrap();
    let world = World::with(|service| service.auth(settings.auth)).await;
    let caller = |claims: Value| bearer(&key.sign(&claims));
    let mut sales = but("department", json!(["support", "sales"]));
    world.caller.add("t", &caller(sales.clone())).await.result();
    sales["tenant"] = json!("east");
    forbidden(&world.caller.add("t", &caller(sales)).await);
    forbidden(&world.caller.add("t", &caller(but("department", json!("wholesales")))).await);
    world.caller.get_with("t", &caller(but("device", json!({ "kind": "till" })))).await.result();
    forbidden(&world.caller.get_with("t", &caller(but("device", json!("till")))).await);
}

#[derive(serde::Deserialize)]
struct Settings {
    auth: Auth,
}

#[tokio::test]
async fn a_request_that_claims_another_user_or_tenant_is_refused() {
    let key = Key::secret();
    let (world, _files) = with_tokens(&key).await;
    let token = bearer(&key.token());
    let with = |metadata: Value| json!({ "aggregateId": "t", "command": { "amount": 1 }, "metadata": metadata });
    let ask = async |subject: &str, body: &Value| {
        world.caller.ask_with(subject, headers([("Authorization", &token)]), body.to_string()).await
    };
    for metadata in
        [json!({ "userId": "eve" }), json!({ "tenantId": "south" }), json!({ "userId": "mia", "tenantId": "south" })]
    {
        forbidden(&ask("tallies.command.tally.add", &with(metadata.clone())).await);
        let get = json!({ "aggregateId": "t", "metadata": metadata });
        forbidden(&ask("tallies.query.tally.get", &get).await);
    }
    let nobody_s = bearer(&key.sign(&without("tenant")));
    let claimed = with(json!({ "tenantId": "north" })).to_string();
    let headers = headers([("Authorization", &nobody_s)]);
    forbidden(&world.caller.ask_with("tallies.command.tally.add", headers, claimed).await);
    ask("tallies.command.tally.add", &with(json!({ "userId": "mia", "tenantId": "north" }))).await.result();
    ask("tallies.command.tally.add", &with(json!({}))).await.result();
    let clerk = (Some("mia".to_owned()), Some("north".to_owned()));
    assert_eq!(on_behalf_of(&world, &tally("t")).await, [clerk.clone(), clerk]);
    let refused = world.service.stats().auth.unwrap().refused;
    assert_eq!((refused["other-user"], refused["other-tenant"]), (2, 5));
}

/// Knows one key, and does not answer about another.
#[derive(Debug)]
struct ApiKeys;

#[async_trait]
impl Authenticate for ApiKeys {
    fn recognises(&self, request: &Request) -> bool {
        request.header("X-Api-Key").is_some()
    }

    async fn authenticate(&self, credentials: &Credentials) -> Result<Verified, Denied> {
        match credentials.header("x-api-key") {
            Some("good") => Ok(Verified::new("robot").role("clerk")),
            Some("down") => Err(Denied::Unavailable),
            Some("slow") => std::future::pending().await,
            Some("unstorable") => Ok(Verified::new("two\nlines").role("clerk")),
            Some("panic") => panic!("as the test wants it"),
            _ => Err(Denied::Unauthenticated),
        }
    }
}

#[tokio::test]
async fn callers_can_be_known_in_a_way_of_the_services_own() {
    let key = Key::secret();
    let files = Files::new();
    let tokens = jwt(JwtKey::file(files.write("key", &key.public), key.algorithm()));
    let auth = clerks(Auth::default().authenticator(ApiKeys).jwt(tokens));
    let world = World::with(|service| service.auth(auth)).await;
    let ask = async |api_key: &str| {
        let soon = header::format_time(Utc::now() + TimeDelta::milliseconds(300));
        let headers = match api_key {
            "slow" => headers([("X-Api-Key", api_key), ("Headwater-Deadline", &soon)]),
            _ => headers([("X-Api-Key", api_key)]),
        };
        world.caller.ask_with(ADD, headers, body("t", &json!({ "amount": 1 }))).await
    };
    ask("good").await.result();
    refused(&ask("bad").await);
    refused(&ask("unstorable").await);
    assert_eq!(ask("down").await.failure(503, "unavailable")["details"]["reason"], "auth");
    ask("slow").await.failure(504, "deadline-exceeded");
    ask("panic").await.failure(500, "internal");
    // Whoever carries both is the first that recognises them.
    let both = headers([("X-Api-Key", "bad"), ("Authorization", &bearer(&key.token()))]);
    refused(&world.caller.ask_with(ADD, both, body("t", &json!({ "amount": 1 }))).await);
    world.caller.add("t", &bearer(&key.token())).await.result();
    assert_eq!(on_behalf_of(&world, &tally("t")).await.len(), 2);
}

#[tokio::test]
async fn commands_of_a_remembered_caller_keep_their_order() {
    let key = Key::p256();
    let (world, _files) = with_tokens(&key).await;
    let token = bearer(&key.token());
    let expected: Vec<u64> = (1..=50).collect();
    let replies = join_all(expected.iter().map(|_| world.caller.add("t", &token))).await;
    let revisions: Vec<u64> = replies.iter().map(|reply| reply.result()["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, expected);
}

/// What a service with these settings says of itself instead of starting.
async fn problems(describe: impl FnOnce(Service) -> Service) -> Vec<(String, String, String)> {
    let server = TestServer::start().await;
    let service = describe(tallies(&headwater_core::store::MemoryStore::new()));
    match service.start(connection(&server).await).await {
        Err(StartError::Invalid { problems }) => {
            problems.into_iter().map(|problem| (problem.setting, problem.value, problem.reason)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn settings_that_name_what_there_is_not_are_problems_with_field_and_value() {
    let (files, key) = (Files::new(), Key::secret());
    let good = files.write("key", &key.public);
    let auth = Auth::default()
        .jwt(jwt(JwtKey::file(&good, key.algorithm())).clock_skew(Duration::from_secs(3600)).max_bytes(1).remember(0))
        .nkeys(Nkeys::default().allow(NkeyUser::new("U1", "").role("ghost").tenant("\n")))
        .basic(Basic::new(files.write("users", format!("mia:{}:ghost", hash("x")))))
        .roles(["clerk", "clerk"])
        .rule(Rule::allow().commands(["tally.subtract", "tolly.add", "add", "tally.get"]).role("clark"))
        .rule(Rule::allow().queries(["tally.sum", "*"]).tenant(""))
        .rule(Rule::allow().role("clerk"));
    let found = problems(|service| service.auth(auth)).await;
    let fields: Vec<_> = found.iter().map(|(setting, value, _)| (setting.as_str(), value.as_str())).collect();
    for expected in [
        ("auth.jwt.clock_skew", "3600s"),
        ("auth.jwt.max_bytes", "1"),
        ("auth.jwt.remember", "0"),
        ("auth.nkeys.allowed[0].key", "U1"),
        ("auth.nkeys.allowed[0].user", ""),
        ("auth.nkeys.allowed[0].roles", "ghost"),
        ("auth.nkeys.allowed[0].tenant", "\n"),
        ("auth.basic.file", &files.path("users").display().to_string().chars().take(80).collect::<String>()),
        ("auth.roles[1]", "clerk"),
        ("auth.rules[0].commands", "tally.subtract"),
        ("auth.rules[0].commands", "tolly.add"),
        ("auth.rules[0].commands", "add"),
        ("auth.rules[0].commands", "tally.get"),
        ("auth.rules[0].roles", "clark"),
        ("auth.rules[1].queries", "tally.sum"),
        ("auth.rules[1].tenants", ""),
        ("auth.rules[2]", ""),
    ] {
        assert!(fields.contains(&expected), "{expected:?} is missing: {found:#?}");
    }
    assert_eq!(found.len(), 17, "{found:#?}");
    let nothing = problems(|service| service.auth(Auth::default())).await;
    assert_eq!(nothing.iter().map(|(setting, ..)| setting.as_str()).collect::<Vec<_>>(), ["auth", "auth.rules"]);
}

#[tokio::test]
async fn a_key_that_cannot_be_used_keeps_a_service_from_starting() {
    use headwater_nats_service::auth::Algorithm::{EdDsa, Es256, Hs256, Rs256};
    let files = Files::new();
    let (rsa, p256) = (Key::rsa(), Key::p256());
    let weak = tokens::WEAK_RSA_PUBLIC;
    let cases = [
        (JwtKey::file(files.path("none"), Rs256), "auth.jwt.key.file", "cannot be read"),
        (JwtKey::file(files.write("a", "secret"), Hs256), "auth.jwt.key.file", "less than 32 bytes"),
        (JwtKey::file(files.write("b", &rsa.public), Hs256), "auth.jwt.key.file", "no secret for HS256"),
        (JwtKey::file(files.write("c", tokens::RSA), Rs256), "auth.jwt.key.file", "private key"),
        (JwtKey::file(files.write("d", &rsa.public), Es256), "auth.jwt.key.file", "not the PEM of a public P-256 key"),
        (
            JwtKey::file(files.write("e", &p256.public), EdDsa),
            "auth.jwt.key.file",
            "not the PEM of a public Ed25519 key",
        ),
        (
            JwtKey::file(files.write("f", "secret rubbish"), Rs256),
            "auth.jwt.key.file",
            "not the PEM of a public RSA key",
        ),
        (JwtKey::file(files.write("g", weak), Rs256), "auth.jwt.key.file", "too short"),
        (JwtKey::env("HEADWATER_TEST_NO_SUCH_KEY", Hs256), "auth.jwt.key.env", "not set"),
        (JwtKey::jwks(files.write("h", "{\"secret")), "auth.jwt.key.jwks", "is not a JWKS (line 1"),
        (JwtKey::jwks(files.write("i", r#"{"keys": []}"#)), "auth.jwt.key.jwks", "holds no key"),
        (
            JwtKey::jwks(files.write("j", r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}, {"kty": "what"}, 7]}"#)),
            "auth.jwt.key.jwks",
            "holds no key",
        ),
    ];
    for (key, field, reason) in cases {
        let found = problems(|service| service.auth(clerks(Auth::default().jwt(Jwt::new(key))))).await;
        let [(setting, _, why)] = found.as_slice() else { panic!("{found:#?}") };
        assert!(setting == field && why.contains(reason) && !why.contains("secret r"), "{found:#?}");
    }
}

#[tokio::test]
async fn auth_that_is_off_does_nothing_and_says_nothing() {
    let world = World::start().await;
    let reply = world.caller.add("t", "Bearer rubbish").await;
    reply.result();
    let claimed = json!({
        "aggregateId": "t", "command": { "amount": 1 }, "metadata": { "userId": "anyone", "tenantId": "any" }
    });
    world.caller.ask(ADD, claimed.to_string()).await.result();
    let given = (Some("anyone".to_owned()), Some("any".to_owned()));
    assert_eq!(on_behalf_of(&world, &tally("t")).await, [(None, None), given]);
    assert_eq!(world.service.stats().auth, None);
    let stats = world.caller.ask_raw("$SRV.STATS.tallies").await;
    assert!(stats["data"].get("auth").is_none(), "{stats:#}");
    let info = world.caller.ask_raw("$SRV.INFO.tallies").await;
    assert!(!info["metadata"]["features"].as_str().unwrap().contains("auth"), "{info:#}");
}

#[tokio::test]
async fn auth_that_is_on_shows_in_discovery_and_its_numbers_can_be_reset() {
    let key = Key::secret();
    let (world, _files) = with_tokens(&key).await;
    world.caller.add("t", &bearer(&key.token())).await.result();
    refused(&world.caller.add("t", "Bearer x").await);
    let info = world.caller.ask_raw("$SRV.INFO.tallies").await;
    assert!(info["metadata"]["features"].as_str().unwrap().split(',').any(|feature| feature == "auth"), "{info:#}");
    let stats = world.caller.ask_raw("$SRV.STATS.tallies").await;
    let expected = json!({ "allowed": 1, "refused": { "malformed": 1 }, "reloads": 0, "failedReloads": 0 });
    assert_eq!(stats["data"]["auth"], expected);
    let endpoint = &stats["endpoints"].as_array().unwrap()[0];
    assert_eq!((&endpoint["data"]["codes"]["unauthenticated"], &endpoint["num_errors"]), (&json!(1), &json!(0)));
    // Questions about the instance need nobody's leave.
    assert_eq!(world.caller.ask_raw("tallies.health").await["status"], "ok");
    world.service.reset_stats();
    assert_eq!(world.service.stats().auth, Some(Default::default()));
}

#[tokio::test]
async fn the_settings_have_a_schema_and_refuse_what_they_do_not_know() {
    let schema = serde_json::to_value(schemars::schema_for!(Auth)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = json!({
        "roles": ["clerk"], "tenants": true,
        "jwt": { "key": { "jwks": "/etc/jwks.json" }, "issuer": "i", "audience": ["a"], "clock_skew": "5s" },
        "nkeys": { "allowed": [{ "key": "U1", "user": "till", "roles": ["clerk"], "tenant": "t" }], "window": "10s" },
        "basic": { "file": "/etc/users", "remember_for": "1m" },
        "rules": [{ "commands": ["*"], "roles": ["clerk"], "claims": { "a": 1 } }]
    });
    assert!(validator.is_valid(&good), "{schema:#}");
    let read: Auth = serde_json::from_value(good.clone()).unwrap();
    let written = serde_json::to_value(&read).unwrap();
    assert!(validator.is_valid(&written), "{written:#}");
    assert_eq!(serde_json::to_value(serde_json::from_value::<Auth>(written.clone()).unwrap()).unwrap(), written);
    for pointer in ["", "/jwt", "/nkeys", "/nkeys/allowed/0", "/basic", "/rules/0", "/jwt/key"] {
        let mut bad = good.clone();
        bad.pointer_mut(pointer).unwrap()["surprise"] = json!(1);
        assert!(serde_json::from_value::<Auth>(bad.clone()).is_err(), "{pointer}");
        assert!(!validator.is_valid(&bad), "{pointer}");
    }
}

impl Caller {
    /// The answer to a question about the instance.
    async fn ask_raw(&self, subject: &str) -> Value {
        let reply = self.client.request(subject.to_owned(), "".into()).await.unwrap();
        serde_json::from_slice(&reply.payload).unwrap()
    }
}

/// Keeps the compiler honest: settings travel between threads, and an authenticator can be shared.
#[test]
fn settings_can_be_shared() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Auth>();
    shared::<Arc<dyn Authenticate>>();
}
