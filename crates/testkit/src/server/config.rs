//! The settings of one server and the configuration file written from them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that stays the same over restarts.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) monitor_port: u16,
    pub(super) jetstream: bool,
    pub(super) store_dir: PathBuf,
    pub(super) jetstream_config: String,
    pub(super) config: String,
    pub(super) max_payload: Option<usize>,
    pub(super) authorization: Option<Authorization>,
    /// Somebody's configuration, instead of the one that is written here.
    pub(super) config_file: Option<PathBuf>,
    pub(super) variables: Variables,
    /// Further options on the command line.
    pub(super) arguments: Vec<String>,
    pub(super) ready_within: Duration,
}

/// Variables for the process. The values may be secrets.
#[derive(Clone, Default)]
pub(super) struct Variables(pub(super) Vec<(String, OsString)>);

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Who is let in.
#[derive(Clone)]
pub(super) enum Authorization {
    User { user: String, password: String },
    Token(String),
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User { user, .. } => f.debug_struct("User").field("user", user).finish_non_exhaustive(),
            Self::Token(_) => f.write_str("Token(..)"),
        }
    }
}

fn file_in(home: &Path) -> PathBuf {
    home.join("nats-server.conf")
}

/// Writes the configuration, unless somebody has written one.
pub(super) fn write(settings: &Settings, home: &Path) -> io::Result<()> {
    match settings.config_file {
        Some(_) => Ok(()),
        None => fs::write(file_in(home), text(settings, home)),
    }
}

/// What a configuration that was made for elsewhere names its store by: unlike addresses, the command line may not say it
/// again.
const STORE_VARIABLE: &str = "NATS_STORE_DIR";

/// What the process finds in its environment besides what it inherits.
pub(super) fn variables(settings: &Settings) -> Vec<(String, OsString)> {
    let mut variables = settings.variables.0.clone();
    if settings.config_file.is_some() {
        variables.push((STORE_VARIABLE.to_owned(), settings.store_dir.clone().into()));
    }
    variables
}

/// The command line. What it says goes before the configuration, so that a file made for elsewhere runs on loopback and at
/// our ports.
pub(super) fn arguments(settings: &Settings, home: &Path) -> Vec<OsString> {
    let Some(file) = &settings.config_file else {
        return vec!["--config".into(), file_in(home).into()];
    };
    let mut arguments: Vec<OsString> = vec!["--config".into(), file.into()];
    let mut option = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    option("--addr", "127.0.0.1".into());
    option("--port", settings.port.to_string().into());
    option("--http_port", settings.monitor_port.to_string().into());
    option("--name", settings.name.clone().into());
    option("--ports_file_dir", home.into());
    arguments.extend(settings.arguments.iter().map(OsString::from));
    arguments
}

fn text(settings: &Settings, home: &Path) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("server_name: {}", quoted(&settings.name)));
    line(format!("listen: \"127.0.0.1:{}\"", settings.port));
    line(format!("http: \"127.0.0.1:{}\"", settings.monitor_port));
    line(format!("ports_file_dir: {}", quoted(&home.to_string_lossy())));
    if let Some(bytes) = settings.max_payload {
        line(format!("max_payload: {bytes}"));
    }
    match &settings.authorization {
        Some(Authorization::User { user, password }) => {
            line(format!("authorization {{ user: {}, password: {} }}", quoted(user), quoted(password)));
        }
        Some(Authorization::Token(token)) => line(format!("authorization {{ token: {} }}", quoted(token))),
        None => {}
    }
    if settings.jetstream {
        let store = quoted(&settings.store_dir.to_string_lossy());
        line(format!("jetstream {{\n  store_dir: {store}\n{}}}", settings.jetstream_config));
    }
    out.push_str(&settings.config);
    out
}

/// A string as the server's configuration language wants it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_do_not_end_a_string() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quoted("1\n2"), r#""1\n2""#);
    }

    #[test]
    fn secrets_do_not_reach_debug_output() {
        let user = Authorization::User { user: "alice".into(), password: "secret".into() };
        assert_eq!(format!("{user:?}"), r#"User { user: "alice", .. }"#);
        assert_eq!(format!("{:?}", Authorization::Token("secret".into())), "Token(..)");
        let variables = Variables(vec![("PASSWORD".into(), "secret".into())]);
        assert_eq!(format!("{variables:?}"), r#"["PASSWORD"]"#);
    }
}
