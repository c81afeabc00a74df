//! Auth: who is calling, and what they may do. Off unless asked for.
//!
//! The stage stands before anything but headers and size of a request was looked at. [`Auth`] says who is known and what they
//! may do; [`Authenticate`] is for ways of knowing callers that are not built in. See `docs/features/auth.md`.

mod attribution;
mod check;
mod claims;
mod guard;
mod jwt;
mod keys;
mod nonces;
mod own;
mod passwords;
mod reason;
mod remembered;
mod rules;
mod settings;
mod signed;
mod stats;
mod watched;

pub(crate) use attribution::{attribute, try_attribute};
pub(crate) use guard::{Checked, Guard};
pub use own::{Authenticate, Credentials, Denied};
pub use rules::Rule;
pub use settings::{Algorithm, Auth, Basic, Jwt, JwtKey, NkeyUser, Nkeys};
pub use stats::AuthStats;
