//! Where settings come from: the program, the environment, a `nats` context, the default; in that order.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::fs;
use std::path::PathBuf;

use headwater_nats::connect::{Environment, HumanDuration, NatsConfig, Secret, Source};
use tempfile::TempDir;

/// A home with `nats` contexts in it, and the environment that leads there.
struct Home {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(".config/nats/context")).unwrap();
        let home = folder.path().display().to_string();
        Self { folder, variables: vec![("HOME".into(), home)] }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        fs::write(self.path(path), text).unwrap();
        self
    }

    fn context(self, name: &str, json: &str) -> Self {
        self.file(&format!(".config/nats/context/{name}.json"), json)
    }

    fn select(self, name: &str) -> Self {
        self.file(".config/nats/context.txt", &format!("{name}\n"))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn load(&self, config: NatsConfig) -> NatsConfig {
        config.load_with(&self.environment()).unwrap()
    }

    fn refusal(&self, config: NatsConfig) -> String {
        config.load_with(&self.environment()).unwrap_err().to_string()
    }

    fn environment(&self) -> Environment {
        Environment::of(self.variables.clone())
    }
}

fn servers(config: &NatsConfig) -> Vec<String> {
    config.servers.iter().map(ToString::to_string).collect()
}

fn revealed(secret: Option<&Secret>) -> Option<&str> {
    secret.map(Secret::reveal)
}

#[test]
fn nothing_set_anywhere_leaves_the_default() {
    let config = Home::new().load(NatsConfig::default());
    assert_eq!(config, NatsConfig::default());
    assert_eq!(config.source("servers"), Source::Default);
}

#[test]
fn the_environment_fills_what_the_program_left_open() {
    let home = Home::new()
        .set("NATS_URL", "nats://one:1, nats://two:2,")
        .set("NATS_USER", "ann")
        .set("NATS_PASSWORD", "secret")
        .set("NATS_TIMEOUT", "1m30s");
    let config = home.load(NatsConfig::default());
    assert_eq!(servers(&config), ["nats://one:1", "nats://two:2"]);
    assert_eq!((config.user.as_deref(), revealed(config.password.as_ref())), (Some("ann"), Some("secret")));
    assert_eq!(config.request_timeout, Some(HumanDuration::from_secs(90)));
    assert_eq!(config.source("servers"), Source::Environment("NATS_URL"));
    assert_eq!(config.source("password").to_string(), "NATS_PASSWORD");

    let config = home.load(NatsConfig::new("nats://mine:3"));
    assert_eq!(servers(&config), ["nats://mine:3"]);
    assert_eq!(config.source("servers"), Source::Explicit);
    assert_eq!(config.user.as_deref(), Some("ann"));
}

#[test]
fn a_context_fills_what_program_and_environment_left_open() {
    let home = Home::new()
        .context(
            "prod",
            r#"{"description": "d", "url": "nats://p1:1,nats://p2:2", "user": "ctx", "password": "secret",
                "inbox_prefix": "_INBOX_ctx", "jetstream_domain": "leaf", "tls_first": true, "color_scheme": "blue"}"#,
        )
        .set("NATS_CONTEXT", "prod")
        .set("NATS_URL", "nats://env:1");
    let config = home.load(NatsConfig { inbox_prefix: Some("_MINE".into()), ..NatsConfig::default() });
    assert_eq!(servers(&config), ["nats://env:1"]);
    assert_eq!(config.user.as_deref(), Some("ctx"));
    assert_eq!(config.inbox_prefix.as_deref(), Some("_MINE"));
    assert_eq!(config.jetstream.domain.as_deref(), Some("leaf"));
    assert_eq!(config.tls.first, Some(true));
    assert_eq!(config.source("user"), Source::Context("prod".into()));
    assert_eq!(config.source("inbox_prefix"), Source::Explicit);
}

#[test]
fn a_context_named_by_the_program_wins_over_the_environments() {
    let home = Home::new()
        .context("mine", r#"{"url": "nats://mine:1"}"#)
        .context("theirs", r#"{"url": "nats://theirs:1"}"#)
        .set("NATS_CONTEXT", "theirs");
    let named = NatsConfig { context: Some("mine".into()), ..NatsConfig::default() };
    assert_eq!(servers(&home.load(named)), ["nats://mine:1"]);
    assert_eq!(servers(&home.load(NatsConfig::default())), ["nats://theirs:1"]);
}

#[test]
fn the_selected_context_is_used_when_nobody_names_servers() {
    let home = Home::new().context("dev", r#"{"url": "nats://dev:1", "token": "t"}"#).select("dev");
    let config = home.load(NatsConfig::default());
    assert_eq!(servers(&config), ["nats://dev:1"]);
    assert_eq!(revealed(config.token.as_ref()), Some("t"));
}

/// A developer's selected context must not show its password to a server that was named on the command line.
#[test]
fn the_selected_context_is_left_alone_when_servers_are_named() {
    let home = Home::new().context("dev", r#"{"url": "nats://dev:1", "token": "t"}"#).select("dev");
    assert_eq!(home.load(NatsConfig::new("nats://localhost:4222")).token, None);
    let home = home.set("NATS_URL", "nats://localhost:4222");
    assert_eq!(home.load(NatsConfig::default()).token, None);
}

#[test]
fn the_configuration_folder_can_be_elsewhere_and_a_context_anywhere() {
    let home = Home::new().file("context.json", r#"{"url": "nats://file:1"}"#);
    let path = home.path("context.json").display().to_string();
    let config = home.load(NatsConfig { context: Some(path), ..NatsConfig::default() });
    assert_eq!(servers(&config), ["nats://file:1"]);

    let home = Home::new().context("dev", r#"{"url": "nats://xdg:1"}"#);
    let elsewhere = home.path(".config").display().to_string();
    let environment = Environment::of([("XDG_CONFIG_HOME", elsewhere.as_str()), ("NATS_CONTEXT", "dev")]);
    assert_eq!(servers(&NatsConfig::default().load_with(&environment).unwrap()), ["nats://xdg:1"]);
}

#[test]
fn paths_in_a_context_know_the_home_and_variables() {
    let seed = nkeys::KeyPair::new_user().seed().unwrap();
    let home = Home::new()
        .file("my.nk", &seed)
        .context("tilde", r#"{"nkey": "~/my.nk"}"#)
        .context("variable", r#"{"nkey": "${DIR}/my.nk"}"#);
    let folder = home.path("").display().to_string();
    let home = home.set("DIR", folder.trim_end_matches('/'));
    let expected = Some(home.path("my.nk"));
    for context in ["tilde", "variable"] {
        let config = home.load(NatsConfig { context: Some(context.into()), ..NatsConfig::default() });
        assert_eq!(config.nkey_seed_file, expected, "{context}");
    }
}

#[test]
fn whoever_says_who_one_is_says_all_of_it() {
    let context = r#"{"url": "nats://url:url@p:1", "creds": "/no/such.creds"}"#;
    let home = Home::new().context("prod", context).set("NATS_CONTEXT", "prod").set("NATS_TOKEN", "t");
    let config = home.load(NatsConfig::default());
    assert_eq!((revealed(config.token.as_ref()), config.credentials_file.clone()), (Some("t"), None));
    assert_eq!(servers(&config), ["nats://p:1"], "credentials in a URL go with the rest");

    let config = home.load(NatsConfig::default().user_and_password("ann", "secret"));
    assert_eq!((config.user.as_deref(), config.token), (Some("ann"), None));
}

#[test]
fn credentials_in_the_environments_url_beat_those_of_a_context() {
    let home = Home::new()
        .context("prod", r#"{"user": "ctx", "password": "secret"}"#)
        .set("NATS_CONTEXT", "prod")
        .set("NATS_URL", "nats://ann:pw@env:1");
    let config = home.load(NatsConfig::default());
    assert_eq!((config.user.as_deref(), servers(&config)), (None, vec!["nats://***@env:1".to_owned()]));
}

/// As the `nats` tool does.
#[test]
fn a_user_without_a_password_from_outside_is_a_token() {
    let config = Home::new().set("NATS_USER", "t0ken").load(NatsConfig::default());
    assert_eq!((config.user, revealed(config.token.as_ref())), (None, Some("t0ken")));
    let home = Home::new().context("c", r#"{"user": "t0ken"}"#).select("c");
    assert_eq!(revealed(home.load(NatsConfig::default()).token.as_ref()), Some("t0ken"));
}

#[test]
fn a_problem_names_where_the_setting_came_from() {
    for (home, words) in [
        (
            Home::new().set("NATS_URL", "nats://ok:1,ftp://no"),
            "nats.servers[1] (from NATS_URL): ftp://no: invalid scheme",
        ),
        (Home::new().set("NATS_CREDS", "/no/x"), "nats.credentials_file (from NATS_CREDS): /no/x: no such file"),
        (Home::new().set("NATS_NKEY", "/no/x"), "nats.nkey_seed_file (from NATS_NKEY): /no/x: no such file"),
        (Home::new().set("NATS_SEED", "SUCANARY"), "nats.nkey_seed (from NATS_SEED): is not the seed"),
        (Home::new().set("NATS_CA", "/no/x"), "nats.tls.ca_file (from NATS_CA): /no/x: no such file"),
        (Home::new().set("NATS_CERT", "/no/x"), "nats.tls.cert_file (from NATS_CERT): nats.tls.key_file is missing"),
        (Home::new().set("NATS_PASSWORD", "CANARY"), "nats.password (from NATS_PASSWORD): nats.user is missing"),
        (
            Home::new().set("NATS_TIMEOUT", "soon"),
            "nats.request_timeout (from NATS_TIMEOUT): \"soon\" is not a duration",
        ),
        (Home::new().set("NATS_CONTEXT", "gone"), "nats.context (from NATS_CONTEXT): \"gone\": "),
        (Home::new().set("NATS_CONTEXT", "../x"), "\"../x\": is neither the name of a context"),
        (Home::new().select("gone"), "context.txt): \"gone\": "),
        (
            Home::new().context("c", r#"{"creds": "/no/x"}"#).select("c"),
            "nats.credentials_file (from nats context c): /no/x: no such file",
        ),
        (Home::new().context("c", r#"{"url": 1}"#).select("c"), "c.json: url: invalid type: integer `1`"),
        (Home::new().context("c", r#"{"token": 112233}"#).select("c"), "c.json: token: must be a string"),
        (Home::new().context("c", "{").select("c"), "c.json: "),
        (
            Home::new().context("c", r#"{"socks_proxy": "h:1"}"#).select("c"),
            "uses \"socks_proxy\", which is not supported",
        ),
        (Home::new().context("c", r#"{"nsc": "nsc://o/a/u"}"#).select("c"), "uses \"nsc\", which is not supported"),
    ] {
        let message = home.refusal(NatsConfig::default());
        assert!(message.contains(words), "{message}\n  without: {words}");
        assert!(!message.contains("CANARY") && !message.contains("112233"), "{message}");
    }
}

#[test]
fn a_variable_set_to_nothing_is_not_set() {
    let home = Home::new().set("NATS_URL", "").set("NATS_CREDS", "").set("NATS_CONTEXT", "");
    assert_eq!(home.load(NatsConfig::default()), NatsConfig::default());
}
