//! Handlers that know who sent a message.

mod guard;
mod layer;
mod own;
mod rule;
mod settings;

pub use layer::{AuthLayer, AuthService};
pub use own::Authenticate;
pub use rule::Rule;
pub use settings::Auth;
