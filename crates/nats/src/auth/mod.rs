//! Who sends something, and what was verified about them: from bearer tokens, signatures and passwords in headers to a
//! [`Caller`].
//!
//! - [`Jwt`], [`Nkeys`], [`Basic`]: how callers prove who they are; their settings are [`Ways`] together.
//! - [`Verifier`]: what verifies. It reads keys and users again when their files change.
//! - [`Conditions`]: what a rule asks of a caller.
//! - [`Reason`], [`Refusals`], [`AuthStats`]: why something is refused, and how often. Callers learn less.

mod check;
mod claims;
mod conditions;
mod jwt;
mod keys;
mod nonces;
mod passwords;
mod reason;
mod remembered;
mod settings;
mod signed;
mod stats;
mod verifier;
mod watched;

pub use crate::caller::Caller;
pub use check::check_roles;
pub use claims::{is_tenant, is_user};
pub use conditions::Conditions;
pub use reason::{Reason, Refusals};
pub use settings::{Algorithm, Basic, Jwt, JwtKey, NkeyUser, Nkeys};
pub use stats::AuthStats;
pub use verifier::{Denied, Message, Verified, Verifier, Ways, When};
