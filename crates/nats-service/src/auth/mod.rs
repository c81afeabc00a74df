//! Auth: who is calling, and what they may do. Off unless asked for.
//!
//! The stage stands before anything but headers and size of a request was looked at. [`Auth`] says who is known and what they
//! may do; [`Authenticate`] is for ways of knowing callers that are not built in. What verifies callers is
//! `headwater_nats::auth`; here is what that means for commands and queries. See `docs/features/auth.md`.

mod attribution;
mod check;
mod guard;
mod own;
mod rules;
mod settings;

pub(crate) use attribution::{attribute, try_attribute};
pub(crate) use guard::{Checked, Guard};
pub use headwater_nats::auth::{Algorithm, AuthStats, Basic, Jwt, JwtKey, NkeyUser, Nkeys};
pub use own::{Authenticate, Credentials, Denied};
pub use rules::Rule;
pub use settings::Auth;
