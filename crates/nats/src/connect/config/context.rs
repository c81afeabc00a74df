//! The `nats` tool's contexts: settings kept in files, one of them selected.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::environment::Environment;
use super::load::Source;
use super::problem::Problems;
use super::secret::Secret;
use super::settings::{NatsConfig, split_servers};

/// A context file. Unknown members are left alone, because the tool adds some with time; a member that would
/// change where a connection goes, and that we cannot follow, is refused below.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct ContextFile {
    url: String,
    user: String,
    password: Option<Secret>,
    token: Option<Secret>,
    creds: String,
    nkey: String,
    user_jwt: Option<Secret>,
    user_seed: Option<Secret>,
    cert: String,
    key: String,
    ca: String,
    tls_first: bool,
    inbox_prefix: String,
    jetstream_domain: String,
    jetstream_api_prefix: String,
    nsc: String,
    socks_proxy: String,
}

/// The context to read, and the words that say why this one.
pub(crate) struct ContextChoice {
    pub(crate) name: String,
    /// The setting to blame, such as `context (from NATS_CONTEXT)`.
    pub(crate) field: String,
}

impl Environment {
    /// The context that `context.txt` selects, if there is one.
    pub(crate) fn selected_context(&self) -> Option<ContextChoice> {
        let file = self.nats_folder()?.join("context.txt");
        let name = fs::read_to_string(&file).ok()?.trim().to_owned();
        (!name.is_empty()).then(|| ContextChoice { name, field: format!("context (from {})", file.display()) })
    }

    /// The settings a context holds; nothing, and a problem, when it cannot be read.
    pub(crate) fn context_settings(&self, choice: &ContextChoice, problems: &mut Problems) -> Option<NatsConfig> {
        let ContextChoice { name, field } = choice;
        let file = self.context_file(name).map_err(|reason| problems.add(field, format!("{name:?}: {reason}"))).ok()?;
        let context = read(&file)
            .map_err(|reason| problems.add(field, format!("{name:?}: {}: {reason}", file.display())))
            .ok()?;
        for (member, value) in [("nsc", &context.nsc), ("socks_proxy", &context.socks_proxy)] {
            if !value.is_empty() {
                problems
                    .add(field, format!("{name:?}: {}: uses {member:?}, which is not supported here", file.display()));
            }
        }
        let mut config = self.settings_of(context);
        config.user_alone_is_a_token();
        config.mark_sources(|_| Source::Context(name.clone()));
        Some(config)
    }

    fn context_file(&self, name: &str) -> Result<PathBuf, String> {
        if Path::new(name).is_absolute() {
            return Ok(PathBuf::from(name));
        }
        if name.contains(['/', '\\']) || name.contains("..") {
            return Err("is neither the name of a context nor the absolute path of one".to_owned());
        }
        let folder = self.nats_folder().ok_or("cannot be found: neither XDG_CONFIG_HOME nor HOME is set")?;
        Ok(folder.join("context").join(format!("{name}.json")))
    }

    fn settings_of(&self, context: ContextFile) -> NatsConfig {
        let text = |value: String| (!value.is_empty()).then_some(value);
        let path = |value: String| (!value.is_empty()).then(|| self.expand(&value));
        let secret = |value: Option<Secret>| value.filter(|value| !value.reveal().is_empty());
        let mut config = NatsConfig {
            servers: split_servers(&context.url),
            user: text(context.user),
            password: secret(context.password),
            token: secret(context.token),
            credentials_file: path(context.creds),
            nkey_seed_file: path(context.nkey),
            user_jwt: secret(context.user_jwt),
            nkey_seed: secret(context.user_seed),
            inbox_prefix: text(context.inbox_prefix),
            ..NatsConfig::default()
        };
        config.tls.cert_file = path(context.cert);
        config.tls.key_file = path(context.key);
        config.tls.ca_file = path(context.ca);
        config.tls.first = context.tls_first.then_some(true);
        config.jetstream.domain = text(context.jetstream_domain);
        config.jetstream.api_prefix = text(context.jetstream_api_prefix);
        config
    }
}

fn read(file: &Path) -> Result<ContextFile, String> {
    let text = fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    let mut json = serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(&mut json)
        .map_err(|error| format!("{}: {}", error.path().clone(), error.into_inner()))
}
