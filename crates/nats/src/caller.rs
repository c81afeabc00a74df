//! Who is calling, once that is known.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

/// Who is calling, verified. What a caller says of itself in a request is not this.
///
/// ```
/// use headwater_nats::caller::Caller;
///
/// let caller = Caller::new("till-7").tenant("north").role("cashier").claim("shift", 2);
/// assert!(caller.has_role("cashier"));
/// assert_eq!(caller.claims()["shift"], 2);
/// ```
#[derive(Clone, PartialEq)]
#[must_use]
pub struct Caller {
    user: String,
    tenant: Option<String>,
    roles: BTreeSet<String>,
    claims: Map<String, Value>,
    is_signing: bool,
}

impl Caller {
    /// The caller known as `user`.
    pub fn new(user: impl Into<String>) -> Self {
        Self { user: user.into(), tenant: None, roles: BTreeSet::new(), claims: Map::new(), is_signing: false }
    }

    /// Belongs to a tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Has a role.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.insert(role.into());
        self
    }

    /// Something else that was verified about the caller.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Signs what it sends.
    pub fn signing(mut self) -> Self {
        self.is_signing = true;
        self
    }

    /// Whether it has signed what it sent.
    #[must_use]
    pub fn is_signing(&self) -> bool {
        self.is_signing
    }

    /// Who that is; `userId` in what is stored.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The tenant it belongs to; `tenantId` in what is stored.
    #[must_use]
    pub fn tenant_id(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Its roles.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    /// Whether it has a role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.contains(role)
    }

    /// What else was verified about it.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

/// Without the claims, which may say more than a log should.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("user", &self.user)
            .field("tenant", &self.tenant)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}
