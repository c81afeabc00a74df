//! How to reach a NATS server and how to behave on the way: the settings, where they come from, and the check
//! that they make sense.

mod context;
mod duration;
mod environment;
mod load;
mod problem;
mod read;
mod secret;
mod server_url;
mod settings;
mod validate;

pub use self::duration::{BadDuration, HumanDuration};
pub use self::environment::Environment;
pub use self::load::{Source, Sources};
pub use self::problem::{ConfigError, Problem};
pub use self::secret::Secret;
pub use self::server_url::ServerUrl;
pub(crate) use self::server_url::UrlCredentials;
pub use self::settings::{DEFAULT_SERVER, JetStreamConfig, NatsConfig, ReconnectConfig, TlsConfig, WatchdogConfig};
