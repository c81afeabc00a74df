//! Keys and users that change while a service runs, and what becomes of secrets meanwhile.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "all/support/mod.rs"]
mod support;
#[path = "all/support/tokens.rs"]
mod tokens;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use argon2::{Argon2, Params};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_nats::header;
use headwater_nats::signature::Signer;
use headwater_nats_service::auth::{Auth, AuthStats, Basic, JwtKey, NkeyUser, Nkeys};
use headwater_testkit::wait_until;
use serde_json::json;
use support::{World, headers};
use tokens::{Files, Key, bearer, claims, clerks, jwt};
use tracing_subscriber::fmt::MakeWriter;

const SOON: Duration = Duration::from_secs(10);

async fn with_jwks(files: &Files, keys: &[serde_json::Value]) -> World {
    let path = files.write("jwks.json", json!({ "keys": keys }).to_string());
    let auth = clerks(Auth::default().jwt(jwt(JwtKey::jwks(path))));
    World::with(|service| service.auth(auth)).await
}

fn stats(world: &World) -> AuthStats {
    world.service.stats().auth.expect("auth is on")
}

/// Waits until the file that has changed was looked at.
async fn looked(world: &World, reloads: u64, failed: u64) {
    wait_until(SOON, "the changed file to be looked at", async || {
        let stats = stats(world);
        ((stats.reloads, stats.failed_reloads) == (reloads, failed)).then_some(())
    })
    .await;
}

async fn opens(world: &World, token: &str) -> bool {
    let reply = world.caller.add("t", &bearer(token)).await;
    match reply.body["success"] == true {
        true => true,
        false => {
            reply.failure(401, "unauthenticated");
            false
        }
    }
}

#[tokio::test]
async fn keys_are_exchanged_without_a_restart_and_remembered_tokens_go_with_their_key() {
    let (old, new, files) = (Key::secret().named("old"), Key::secret().named("new"), Files::new());
    let world = with_jwks(&files, &[old.in_jwks("old")]).await;
    let (old_token, new_token) = (old.token(), new.token());
    assert!(opens(&world, &old_token).await);
    assert!(!opens(&world, &new_token).await);

    let (old_jwk, new_jwk) = (old.in_jwks("old"), new.in_jwks("new"));
    files.write("jwks.json", json!({ "keys": [old_jwk, new_jwk] }).to_string());
    looked(&world, 1, 0).await;
    assert!(opens(&world, &old_token).await && opens(&world, &new_token).await);

    files.write("jwks.json", json!({ "keys": [new_jwk] }).to_string());
    looked(&world, 2, 0).await;
    assert!(!opens(&world, &old_token).await, "it was remembered");
    assert!(opens(&world, &new_token).await);
    // A name that does not belong to the key, and none at all.
    assert!(!opens(&world, &Key { id: Some("old".to_owned()), ..new }.token()).await);
}

#[tokio::test]
async fn rubbish_in_place_of_the_keys_changes_nothing_and_is_counted() {
    let (key, files) = (Key::secret().named("one"), Files::new());
    let world = with_jwks(&files, &[key.in_jwks("one")]).await;
    let token = key.token();
    assert!(opens(&world, &token).await);
    let rubbish = ["<html>no keys today</html>", r#"{"keys": [{"kty": "oct", "k": "AA"}]}"#];
    for (number, rubbish) in rubbish.into_iter().enumerate() {
        files.write("jwks.json", rubbish);
        looked(&world, 0, number as u64 + 1).await;
        assert!(opens(&world, &token).await, "{rubbish}");
        assert!(opens(&world, &key.sign(&tokens::but("n", json!(number)))).await, "a new token, after {rubbish}");
    }
    let next = Key::secret().named("two");
    files.write("jwks.json", json!({ "keys": [next.in_jwks("two")] }).to_string());
    looked(&world, 1, 2).await;
    assert!(opens(&world, &next.token()).await && !opens(&world, &token).await);
}

#[tokio::test]
async fn keys_of_other_kinds_stand_in_one_file_and_each_checks_its_own() {
    let (secret, files) = (Key::secret(), Files::new());
    let rsa = Key::rsa();
    let rsa_jwk = {
        let decoding = jsonwebtoken::DecodingKey::from_rsa_pem(rsa.public.as_bytes()).unwrap();
        let jwk = jsonwebtoken::jwk::Jwk::from_decoding_key(&decoding, Some(rsa.signing)).unwrap();
        serde_json::to_value(jwk).unwrap()
    };
    let for_encryption = json!({ "kty": "oct", "use": "enc", "k": STANDARD.encode([1; 32]) });
    let other_curve = json!({ "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA" });
    let world = with_jwks(&files, &[for_encryption, rsa_jwk, other_curve, secret.in_jwks("s")]).await;
    assert!(opens(&world, &rsa.token()).await);
    assert!(opens(&world, &secret.token()).await);
    // The modulus is public: nobody signs with it as if it were a secret.
    assert!(!opens(&world, &Key::secret().token()).await);
}

fn hash(password: &str) -> String {
    let quick = Argon2::from(Params::new(64, 1, 1, None).unwrap());
    quick.hash_password_with_salt(password.as_bytes(), b"a salt for tests").unwrap().to_string()
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

#[tokio::test]
async fn a_changed_password_holds_at_once_even_for_those_who_are_remembered() {
    let files = Files::new();
    let path = files.write("users", format!("mia:{}:clerk\n", hash("first")));
    let world = World::with(|service| service.auth(clerks(Auth::default().basic(Basic::new(path))))).await;
    world.caller.add("t", &basic("mia", "first")).await.result();
    files.write("users", format!("mia:{}:clerk\nbo:{}:clerk\n", hash("second"), hash("b")));
    looked(&world, 1, 0).await;
    world.caller.add("t", &basic("mia", "first")).await.failure(401, "unauthenticated");
    world.caller.add("t", &basic("mia", "second")).await.result();
    world.caller.add("t", &basic("bo", "b")).await.result();
    files.write("users", "mia:third:clerk\n");
    looked(&world, 1, 1).await;
    world.caller.add("t", &basic("mia", "second")).await.result();
}

/// Whatever is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_reaches_logs_errors_debug_output_or_statistics() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    // For all threads: files are read on others. What the other tests log does not matter here.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let (key, files) = (Key::secret().named("one"), Files::new());
    let seed = nkeys::KeyPair::new_user().seed().unwrap();
    let signer = Signer::from_seed(&seed).unwrap();
    let (password, password_hash) = ("correct-horse-battery", hash("correct-horse-battery"));
    let jwks = files.write("jwks.json", json!({ "keys": [key.in_jwks("one")] }).to_string());
    let users = files.write("users", format!("mia:{password_hash}:clerk\n"));
    let auth = clerks(
        Auth::default()
            .jwt(jwt(JwtKey::jwks(jwks)))
            .basic(Basic::new(users))
            .nkeys(Nkeys::default().allow(NkeyUser::new(signer.public_key(), "till").role("clerk"))),
    );
    let mut shown = vec![format!("{auth:?}"), format!("{signer:?}"), serde_json::to_string(&auth).unwrap()];
    let world = World::with(|service| service.auth(auth)).await;

    let mut private = claims();
    private["salary"] = json!("a-private-claim");
    let (good, expired) = (key.sign(&private), key.sign(&tokens::but("exp", json!(1))));
    let wrong = Key::secret().named("one").token();
    let mut answers = vec![];
    for authorization in [
        bearer(&good),
        bearer(&expired),
        bearer(&wrong),
        bearer(&format!("{good}x")),
        basic("mia", password),
        basic("mia", &format!("{password}x")),
        format!("Bearer{good}"),
        format!("Digest {password}"),
    ] {
        let reply = world.caller.add("t", &authorization).await;
        answers.push(format!("{reply:?}"));
    }
    let body = json!({ "aggregateId": "t", "command": { "amount": 1 }, "metadata": { "commandId": "c" } }).to_string();
    let subject = "tallies.command.tally.add";
    let values = signer.sign(subject, body.as_bytes(), chrono::Utc::now());
    let signature = values[3].clone();
    let mut signed = headers([]);
    header::SIGNED.into_iter().zip(values).for_each(|(name, value)| signed.insert(name, value));
    for _ in 0..2 {
        answers.push(format!("{:?}", world.caller.ask_with(subject, signed.clone(), body.clone()).await));
    }
    // Half a file, with the secrets still in it.
    files.write("jwks.json", &json!({ "keys": [key.in_jwks("one")] }).to_string()[..100]);
    files.write("users", format!("mia:{}:clerk\n", password_hash.replace("argon2id", "rot13")));
    looked(&world, 0, 2).await;

    shown.extend(answers);
    for subject in ["$SRV.STATS.tallies", "$SRV.INFO.tallies", "tallies.stats", "tallies.health", "tallies.schema"] {
        let reply = world.caller.client.request(subject, "".into()).await.unwrap();
        shown.push(String::from_utf8(reply.payload.to_vec()).unwrap());
    }
    shown.push(format!("{:?}", world.service));
    shown.push(format!("{:?}", world.service.stats()));

    for (what, auth) in [
        (
            "a secret in a PEM's place",
            Auth::default().jwt(jwt(JwtKey::file(files.write("a", &key.public), tokens::Key::rsa().algorithm()))),
        ),
        ("half a JWKS", Auth::default().jwt(jwt(JwtKey::jwks(files.path("jwks.json"))))),
        ("a broken hash", Auth::default().basic(Basic::new(files.path("users")))),
        ("a seed for a key", Auth::default().nkeys(Nkeys::default().allow(NkeyUser::new(&seed, "till")))),
    ] {
        let service = support::tallies(&world.store).auth(clerks(auth));
        let refused = service.start(support::connection(&world.server).await).await.expect_err(what);
        shown.push(format!("{refused} {refused:?}"));
    }
    world.service.drain().await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("cannot be used") && logged.contains("wrong-key"), "the log is that of the service");
    // What goes over the wire is the library's to log at its lowest levels, and not ours to hide.
    let ours: String = logged.lines().filter(|line| !line.contains("async_nats")).collect();
    shown.push(ours);

    let in_jwks = key.in_jwks("one");
    let secrets = [
        key.public.as_str(),
        in_jwks["k"].as_str().unwrap(),
        &seed,
        password,
        &basic("mia", password)["Basic ".len()..],
        password_hash.rsplit_once('$').unwrap().1,
        good.rsplit_once('.').unwrap().1,
        expired.rsplit_once('.').unwrap().1,
        wrong.rsplit_once('.').unwrap().1,
        good.split('.').nth(1).unwrap(),
        "a-private-claim",
        &signature,
    ];
    for text in &shown {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}
