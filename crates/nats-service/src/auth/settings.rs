//! The settings of auth.

use std::sync::Arc;

use headwater_nats::auth::{Basic, Jwt, Nkeys};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Authenticate, Rule};

/// Who is calling, and what they may do; handed to [`Service::auth`](crate::Service::auth).
///
/// Callers prove who they are with a bearer JWT ([`Jwt`]), with a signature ([`Nkeys`]), with a password ([`Basic`]), or in a
/// way of the service's own ([`Authenticate`]). Several can be on at once; the first that recognises a request decides. Then
/// the [`Rule`]s decide what the caller may do: what no rule allows is refused.
///
/// ```
/// use headwater_nats_service::auth::{Auth, Basic, Jwt, JwtKey, Rule};
///
/// let auth = Auth::default()
///     .jwt(Jwt::new(JwtKey::jwks("/etc/receipts/jwks.json")).issuer("https://id.example").audience("receipts"))
///     .roles(["clerk", "auditor"])
///     .rule(Rule::allow().commands(["receipt.*"]).queries(["receipt.get"]).role("clerk"))
///     .rule(Rule::allow().queries(["*"]).role("auditor"));
/// ```
///
/// The same as TOML:
///
/// ```toml
/// [auth]
/// roles = ["clerk", "auditor"]
/// [auth.jwt]
/// key = { jwks = "/etc/receipts/jwks.json" }
/// issuer = "https://id.example"
/// audience = ["receipts"]
/// [[auth.rules]]
/// commands = ["receipt.*"]
/// queries = ["receipt.get"]
/// roles = ["clerk"]
/// [[auth.rules]]
/// queries = ["*"]
/// roles = ["auditor"]
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct Auth {
    /// Callers with a bearer token. Off by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jwt: Option<Jwt>,
    /// Callers that sign their requests with an NKey. Off by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nkeys: Option<Nkeys>,
    /// Callers with a name and a password. Off by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) basic: Option<Basic>,
    /// The roles there are. A rule or a user that names another one is an error; a token's other roles mean nothing.
    pub(crate) roles: Vec<String>,
    /// What callers may do. Nothing by default.
    pub(crate) rules: Vec<Rule>,
    /// Whether each tenant has its own aggregates: the same id in two tenants is two aggregates, and a caller without a
    /// tenant is refused. Off by default. It changes where events are stored, so it is not to be switched later.
    pub(crate) tenants: bool,
    #[serde(skip)]
    pub(crate) own: Vec<Arc<dyn Authenticate>>,
}

impl Auth {
    /// Takes bearer tokens.
    pub fn jwt(mut self, jwt: Jwt) -> Self {
        self.jwt = Some(jwt);
        self
    }

    /// Takes requests signed with an NKey.
    pub fn nkeys(mut self, nkeys: Nkeys) -> Self {
        self.nkeys = Some(nkeys);
        self
    }

    /// Takes names and passwords.
    pub fn basic(mut self, basic: Basic) -> Self {
        self.basic = Some(basic);
        self
    }

    /// Takes callers in a way of the service's own. What was added first is asked first, and before the built-in ways.
    pub fn authenticator(mut self, own: impl Authenticate) -> Self {
        self.own.push(Arc::new(own));
        self
    }

    /// Adds to the roles there are.
    pub fn roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles.extend(roles.into_iter().map(Into::into));
        self
    }

    /// Allows something.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Keeps tenants apart, each with its own aggregates. It changes where events are stored, so it is not to be switched
    /// later.
    pub fn tenants(mut self, apart: bool) -> Self {
        self.tenants = apart;
        self
    }
}
