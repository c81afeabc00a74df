//! The check that settings make sense, before anything is connected.

use std::fs;
use std::path::Path;

use super::problem::{ConfigError, Problems};
use super::server_url::UrlCredentials;
use super::settings::NatsConfig;
use crate::connect::credentials;

impl NatsConfig {
    /// Looks for everything that is wrong with the settings. It looks at the files they name, and at nothing else.
    ///
    /// # Errors
    /// All problems at once, each with the setting's path and its value, unless that is a secret.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        self.check_servers(&mut problems);
        self.check_identity(&mut problems);
        self.check_tls(&mut problems);
        self.check_times(&mut problems);
        self.check_names(&mut problems);
        problems.into_result()
    }

    /// The ways to sign in that are set, by the setting that stands for each.
    pub(crate) fn identities(&self) -> Vec<&'static str> {
        let bare_nkey = self.user_jwt.is_none();
        let ways = [
            ("user", self.user.is_some() || self.password.is_some()),
            ("token", self.token.is_some()),
            ("credentials_file", self.credentials_file.is_some()),
            ("user_jwt", self.user_jwt.is_some()),
            ("nkey_seed", bare_nkey && self.nkey_seed.is_some()),
            ("nkey_seed_file", bare_nkey && self.nkey_seed_file.is_some()),
        ];
        ways.into_iter().filter(|(_, set)| *set).map(|(field, _)| field).collect()
    }

    fn check_servers(&self, problems: &mut Problems) {
        let mut first_with_credentials: Option<(usize, UrlCredentials)> = None;
        for (index, server) in self.servers.iter().enumerate() {
            let field = self.labelled(&format!("servers[{index}]"), "servers");
            if let Err(reason) = server.address() {
                problems.add(field, format!("{server}: {reason}"));
                continue;
            }
            match (server.credentials(), &first_with_credentials) {
                (Some(own), None) => first_with_credentials = Some((index, own)),
                (Some(own), Some((first, theirs))) if own != *theirs => problems.add(
                    field,
                    format!(
                        "{server}: has other credentials than servers[{first}]; all servers are signed in to alike"
                    ),
                ),
                _ => {}
            }
        }
        if let (Some((index, _)), Some(other)) = (first_with_credentials, self.identities().first()) {
            problems.add(
                self.labelled(&format!("servers[{index}]"), "servers"),
                format!("carries credentials, but nats.{other} is set too; remove one of them"),
            );
        }
    }

    fn check_identity(&self, problems: &mut Problems) {
        let ways = self.identities();
        if let [first, others @ ..] = ways.as_slice() {
            for other in others {
                problems.add(
                    self.labelled(other, other),
                    format!("cannot be used together with nats.{first}; remove one of them"),
                );
            }
        }
        match (&self.user, &self.password) {
            (Some(_), None) => problems.add(
                self.labelled("user", "user"),
                "nats.password is missing (a name without a password is given as nats.token)",
            ),
            (None, Some(_)) => problems.add(self.labelled("password", "password"), "nats.user is missing"),
            _ => {}
        }
        self.check_keys(problems);
    }

    fn check_keys(&self, problems: &mut Problems) {
        let has_seed = self.nkey_seed.is_some() || self.nkey_seed_file.is_some();
        if self.user_jwt.is_some() && !has_seed {
            problems
                .add(self.labelled("user_jwt", "user_jwt"), "needs nats.nkey_seed or nats.nkey_seed_file to sign with");
        }
        if self.user_jwt.is_some() && self.nkey_seed.is_some() && self.nkey_seed_file.is_some() {
            problems.add(
                self.labelled("nkey_seed_file", "nkey_seed_file"),
                "cannot be used together with nats.nkey_seed; remove one of them",
            );
        }
        if let Some(seed) = &self.nkey_seed
            && let Err(reason) = credentials::check_seed(seed.reveal())
        {
            problems.add(self.labelled("nkey_seed", "nkey_seed"), reason);
        }
        if let Some(path) = &self.nkey_seed_file
            && let Err(reason) = read_file(path).and_then(|text| credentials::seed_in(&text).map(drop))
        {
            problems.add(self.labelled("nkey_seed_file", "nkey_seed_file"), format!("{}: {reason}", path.display()));
        }
        if let Some(path) = &self.credentials_file
            && let Err(reason) = read_file(path).and_then(|text| credentials::parse(&text).map(drop))
        {
            problems
                .add(self.labelled("credentials_file", "credentials_file"), format!("{}: {reason}", path.display()));
        }
    }

    fn check_tls(&self, problems: &mut Problems) {
        let tls = &self.tls;
        for (field, path) in
            [("tls.ca_file", &tls.ca_file), ("tls.cert_file", &tls.cert_file), ("tls.key_file", &tls.key_file)]
        {
            if let Some(path) = path
                && let Err(reason) = read_file(path).and_then(|text| check_pem(field, &text))
            {
                problems.add(self.labelled(field, field), format!("{}: {reason}", path.display()));
            }
        }
        match (&tls.cert_file, &tls.key_file) {
            (Some(_), None) => {
                problems.add(self.labelled("tls.cert_file", "tls.cert_file"), "nats.tls.key_file is missing");
            }
            (None, Some(_)) => {
                problems.add(self.labelled("tls.key_file", "tls.key_file"), "nats.tls.cert_file is missing");
            }
            _ => {}
        }
    }

    fn check_times(&self, problems: &mut Problems) {
        let watchdog = &self.watchdog;
        for (field, value) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("ping_interval", self.ping_interval),
            ("reconnect.initial", Some(self.reconnect.initial)),
            ("watchdog.interval", Some(watchdog.interval)),
            ("watchdog.timeout", Some(watchdog.timeout)),
        ] {
            if value.is_some_and(|value| value.get().is_zero()) {
                problems.add(self.labelled(field, field), "0s: must be longer than nothing");
            }
        }
        let reconnect = &self.reconnect;
        if reconnect.max < reconnect.initial {
            problems.add(
                "reconnect.max",
                format!("{}: must not be shorter than nats.reconnect.initial ({})", reconnect.max, reconnect.initial),
            );
        }
        if !(0.0..=1.0).contains(&reconnect.jitter) {
            problems.add("reconnect.jitter", format!("{}: must lie between 0 and 1", reconnect.jitter));
        }
        if watchdog.failures == 0 {
            problems.add("watchdog.failures", "0: must be at least 1");
        }
        if self.subscription_capacity == Some(0) {
            problems.add("subscription_capacity", "0: must be at least 1");
        }
    }

    fn check_names(&self, problems: &mut Problems) {
        for (field, value) in [
            ("inbox_prefix", &self.inbox_prefix),
            ("jetstream.domain", &self.jetstream.domain),
            ("jetstream.api_prefix", &self.jetstream.api_prefix),
        ] {
            if let Some(value) = value
                && let Err(reason) = check_subject(value)
            {
                problems.add(self.labelled(field, field), format!("{value:?}: {reason}"));
            }
        }
        if self.jetstream.domain.is_some() && self.jetstream.api_prefix.is_some() {
            problems.add(
                self.labelled("jetstream.api_prefix", "jetstream.api_prefix"),
                "cannot be used together with nats.jetstream.domain; remove one of them",
            );
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    String::from_utf8(bytes).map_err(|_| "is not a text file".to_owned())
}

fn check_pem(field: &str, text: &str) -> Result<(), String> {
    let (what, found) = match field {
        "tls.key_file" => ("private key", text.contains("PRIVATE KEY-----")),
        _ => ("certificate", text.contains("-----BEGIN CERTIFICATE-----")),
    };
    if found { Ok(()) } else { Err(format!("holds no {what} in PEM form")) }
}

fn check_subject(subject: &str) -> Result<(), &'static str> {
    if subject.is_empty() {
        return Err("is empty");
    }
    if subject.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>')) {
        return Err("must not contain spaces, control characters, * or >");
    }
    if subject.split('.').any(str::is_empty) {
        return Err("must not start or end with a dot, nor have two in a row");
    }
    Ok(())
}
