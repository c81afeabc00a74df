//! Settings: read from TOML, checked, refused with the name of what is wrong, and never showing a secret.

use std::time::Duration;

use headwater_nats::connect::{HumanDuration, NatsConfig, Secret};
use nkeys::KeyPair;

fn refusal(toml: &str) -> String {
    NatsConfig::from_toml(toml).expect_err(toml).to_string()
}

#[test]
fn a_complete_document_is_read() {
    let config = NatsConfig::from_toml(
        r#"
        [service]
        name = "somebody else's table"

        [nats]
        servers = ["nats://one:4222", "tls://two:4333", "three"]
        name = "receipts"
        user = "ann"
        password = "secret"
        inbox_prefix = "_INBOX_receipts"
        connect_timeout = "3s"
        request_timeout = "750ms"
        ping_interval = "1m30s"
        retry_on_initial_connect = true
        subscription_capacity = 256

        [nats.tls]
        required = true
        first = false

        [nats.reconnect]
        initial = "50ms"
        max = "2s"
        jitter = 0.25

        [nats.watchdog]
        interval = "500ms"
        timeout = "250ms"
        failures = 5

        [nats.jetstream]
        domain = "leaf"
        "#,
    )
    .unwrap();
    assert_eq!(config.servers.len(), 3);
    assert_eq!(config.password.as_ref().map(Secret::reveal), Some("secret"));
    assert_eq!(config.ping_interval, Some(HumanDuration::from_secs(90)));
    assert_eq!(config.watchdog.timeout.get(), Duration::from_millis(250));
    assert_eq!(config.reconnect.jitter, 0.25);
    assert_eq!(config.jetstream.domain.as_deref(), Some("leaf"));
}

#[test]
fn an_empty_table_means_the_defaults() {
    let config = NatsConfig::from_toml("[nats]").unwrap();
    assert_eq!(config, NatsConfig::default());
    assert_eq!(config.watchdog.failures, 3);
    assert_eq!(config.reconnect.max, HumanDuration::from_secs(5));
}

/// One row a mistake: what was written, and what the message must say of it.
#[test]
fn each_mistake_is_named_with_its_path() {
    for (written, field, words) in [
        ("servers = ['nats://ok:1', 'http://no:80']", "nats.servers[1]", "invalid scheme"),
        ("servers = ['ws://no:80']", "nats.servers[0]", "WebSocket"),
        ("servers = ['nats://no:port']", "nats.servers[0]", "invalid port"),
        ("servers = 'nats://ok:1'", "nats.servers", "expected a sequence"),
        ("servers = [4222]", "nats.servers[0]", "expected a string"),
        ("server = 'nats://ok:1'", "nats.server", "unknown field `server`"),
        ("tls.requried = true", "nats.tls.requried", "unknown field `requried`"),
        ("tls.required = 'yes'", "nats.tls.required", "expected a boolean"),
        ("connect_timeout = 5", "nats.connect_timeout", "expected a string"),
        ("connect_timeout = '5'", "nats.connect_timeout", "\"5\" is not a duration"),
        ("request_timeout = '5 sec'", "nats.request_timeout", "is not a duration"),
        ("connect_timeout = '0s'", "nats.connect_timeout", "longer than nothing"),
        ("ping_interval = '0ms'", "nats.ping_interval", "longer than nothing"),
        ("watchdog.failures = 0", "nats.watchdog.failures", "at least 1"),
        ("watchdog.failures = -1", "nats.watchdog.failures", "-1"),
        ("watchdog.interval = '0s'", "nats.watchdog.interval", "longer than nothing"),
        ("reconnect.jitter = 1.5", "nats.reconnect.jitter", "1.5: must lie between 0 and 1"),
        ("reconnect.jitter = nan", "nats.reconnect.jitter", "between 0 and 1"),
        ("reconnect = { initial = '2s', max = '1s' }", "nats.reconnect.max", "1s: must not be shorter"),
        ("subscription_capacity = 0", "nats.subscription_capacity", "at least 1"),
        ("inbox_prefix = 'a b'", "nats.inbox_prefix", "\"a b\": must not contain spaces"),
        ("inbox_prefix = '_INBOX.>'", "nats.inbox_prefix", "* or >"),
        ("inbox_prefix = 'a..b'", "nats.inbox_prefix", "dot"),
        ("jetstream = { domain = 'a', api_prefix = 'b' }", "nats.jetstream.api_prefix", "nats.jetstream.domain"),
        ("user = 'ann'", "nats.user", "nats.password is missing"),
        ("password = 'x'", "nats.password", "nats.user is missing"),
        ("user = 'ann'\npassword = 'x'\ntoken = 't'", "nats.token", "together with nats.user"),
        ("user = 'ann'\npassword = 'x'\nservers = ['nats://b:y@h:1']", "nats.servers[0]", "nats.user is set too"),
        ("servers = ['nats://a:b@h:1', 'nats://a:c@h:2']", "nats.servers[1]", "other credentials than servers[0]"),
        ("credentials_file = '/no/such.creds'", "nats.credentials_file", "/no/such.creds: no such file"),
        ("nkey_seed_file = '/no/such.nk'", "nats.nkey_seed_file", "/no/such.nk: no such file"),
        ("nkey_seed = 'SUCANARY'", "nats.nkey_seed", "not the seed of an NKey"),
        ("user_jwt = 'a.b.c'", "nats.user_jwt", "needs nats.nkey_seed"),
        ("tls.ca_file = '/no/ca.pem'", "nats.tls.ca_file", "/no/ca.pem: no such file"),
        ("tls.cert_file = '/no/cert.pem'", "nats.tls.cert_file", "nats.tls.key_file is missing"),
        ("tls.key_file = '/no/key.pem'", "nats.tls.key_file", "nats.tls.cert_file is missing"),
        ("tls.ca_file = '/dev/null'", "nats.tls.ca_file", "no certificate in PEM form"),
    ] {
        let message = refusal(&format!("[nats]\n{written}\n"));
        assert!(message.contains(&format!("{field}: ")), "{written}\n  said: {message}\n  not about: {field}");
        assert!(message.contains(words), "{written}\n  said: {message}\n  without: {words}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let error = NatsConfig::from_toml(
        "[nats]\nservers = ['ws://a', 'nats://b:x']\ntoken = 't'\nnkey_seed = 'SU'\nwatchdog.failures = 0",
    )
    .unwrap_err();
    let fields: Vec<&str> = error.problems().iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(
        fields,
        ["nats.servers[0]", "nats.servers[1]", "nats.nkey_seed", "nats.nkey_seed", "nats.watchdog.failures"]
    );
    assert!(error.to_string().starts_with("the NATS configuration has 5 problems:\n  nats.servers[0]: "));
}

#[test]
fn what_is_not_toml_is_named_by_its_line() {
    let message = refusal("[nats]\n\nservers = [\n");
    assert!(message.starts_with("line ") && message.contains("is not TOML"), "{message}");
    let message = refusal("[nats]\ntoken = 'canary\nname = 'x'\n");
    assert!(message.starts_with("line 2: "), "{message}");
    assert!(!message.contains("canary"), "{message}");
}

#[test]
fn a_document_without_our_table_is_refused_rather_than_ignored() {
    for document in ["", "servers = ['nats://ok:1']", "[gnats]\n"] {
        assert!(refusal(document).contains("no table [nats]"));
    }
}

#[test]
fn an_nkey_of_another_kind_is_refused() {
    let seed = KeyPair::new_account().seed().unwrap();
    let message = refusal(&format!("[nats]\nnkey_seed = '{seed}'"));
    assert!(message.contains("nats.nkey_seed: is the seed of an NKey of type Account"), "{message}");
    assert!(!message.contains(&seed));
}

/// Every secret there is, in every place a careless person may print it.
#[test]
fn no_secret_is_ever_shown() {
    let seed = KeyPair::new_account().seed().unwrap();
    let mut config = NatsConfig::new("nats://canary1:canary2@host:1,nats://canary3@host:2,http://canary4:p@h")
        .user_and_password("ann", "canary5")
        .token("canary6")
        .nkey_seed(seed.as_str());
    config.user_jwt = Some("canary7".into());
    let error = config.validate().unwrap_err();
    for shown in [
        format!("{config:?}"),
        format!("{config:#?}"),
        toml::to_string(&config).unwrap(),
        serde_json::to_string(&config).unwrap(),
        error.to_string(),
        format!("{error:?}"),
    ] {
        assert!(!shown.contains("canary") && !shown.contains(&seed), "{shown}");
    }
    for toml in ["password = 12345", "token = ['12345']", "nkey_seed = { a = '12345' }", "user_jwt = 123.45"] {
        let message = refusal(&format!("[nats]\n{toml}"));
        assert!(message.contains("must be a string") && !message.contains("123"), "{message}");
    }
}

#[test]
fn what_is_written_is_read_back_but_for_secrets() {
    let config = NatsConfig::new("nats://one:1,nats://two:2").name("receipts");
    let written = format!("[nats]\n{}", toml::to_string(&config).unwrap().replace("[", "[nats."));
    // The list of servers is the only other place with a bracket.
    let written = written.replace("servers = [nats.", "servers = [");
    assert_eq!(NatsConfig::from_toml(&written).unwrap(), config);
    let secretive = serde_json::to_string(&config.token("t")).unwrap();
    assert!(serde_json::from_str::<NatsConfig>(&secretive).unwrap_err().to_string().contains("placeholder"));
}

#[test]
fn the_json_schema_describes_every_setting_and_no_others() {
    let schema = NatsConfig::json_schema();
    let properties = schema["properties"].as_object().unwrap();
    for field in ["servers", "user", "password", "tls", "watchdog", "reconnect", "jetstream", "request_timeout"] {
        assert!(properties.contains_key(field), "{field}");
        assert!(properties[field].get("description").is_some() || properties[field].get("$ref").is_some(), "{field}");
    }
    assert!(!properties.contains_key("sources"));
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["$defs"]["Secret"]["writeOnly"], true);
    assert!(schema["$defs"]["HumanDuration"]["pattern"].is_string());
}
