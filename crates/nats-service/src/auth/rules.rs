//! Rules: who may do what. What no rule allows is refused.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use headwater_nats::auth::Conditions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::edge::Caller;
use crate::endpoint::{Asks, Endpoint, Endpoints};
use crate::problem::Problems;

/// Something that is allowed: these commands and queries, to callers that have one of the roles, belong to one of the
/// tenants, and have all of the claims. What is left out is no condition; a rule without conditions is for every caller whose
/// identity was verified.
///
/// Commands and queries are named `{aggregate}.{name}`, as in `receipt.add-item`; `receipt.*` names all of an aggregate type,
/// and `*` all there are. Every aggregate type has the queries `get` and `history`.
///
/// ```
/// use headwater_nats_service::auth::Rule;
///
/// let rule = Rule::allow()
///     .commands(["receipt.add-item", "receipt.finalize"])
///     .queries(["receipt.*"])
///     .role("clerk")
///     .claim("department", "sales");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct Rule {
    /// The commands it allows.
    pub(crate) commands: Vec<String>,
    /// The queries it allows.
    pub(crate) queries: Vec<String>,
    /// The roles of which the caller must have one.
    pub(crate) roles: Vec<String>,
    /// The tenants of which the caller must belong to one.
    pub(crate) tenants: Vec<String>,
    /// The claims that the caller must have, each with this value or with a list that holds it. A name that starts with `/`
    /// is a JSON Pointer into the claims.
    pub(crate) claims: BTreeMap<String, Value>,
}

impl Rule {
    /// A rule that allows nothing yet.
    pub fn allow() -> Self {
        Self::default()
    }

    /// Allows these commands.
    pub fn commands<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.commands.extend(names.into_iter().map(Into::into));
        self
    }

    /// Allows these queries.
    pub fn queries<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.queries.extend(names.into_iter().map(Into::into));
        self
    }

    /// Only for callers with this role, or another one named so.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Only for callers of this tenant, or another one named so.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenants.push(tenant.into());
        self
    }

    /// Only for callers with this claim.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    fn conditions(&self) -> Conditions<'_> {
        Conditions { roles: &self.roles, tenants: &self.tenants, claims: &self.claims }
    }
}

/// The rules, by what they are about.
pub(super) struct Rules {
    rules: Vec<Rule>,
    /// The numbers of the rules that allow what is asked at a subject.
    at: HashMap<String, Vec<usize>>,
}

/// Whether a rule's name is one of commands or of queries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    Query,
}

impl Rules {
    /// Sorts the rules. Whatever names something that there is not is a problem.
    pub(super) fn new(rules: Vec<Rule>, roles: &[String], endpoints: &Endpoints, problems: &mut Problems) -> Self {
        let mut at: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, rule) in rules.iter().enumerate() {
            let field = |part: &str| format!("auth.rules[{number}].{part}");
            if rule.commands.is_empty() && rule.queries.is_empty() {
                problems.add(format!("auth.rules[{number}]"), &"", "allows no command and no query");
            }
            rule.conditions().check(roles, &format!("auth.rules[{number}]"), problems);
            for (kind, part, names) in
                [(Kind::Command, "commands", &rule.commands), (Kind::Query, "queries", &rule.queries)]
            {
                for name in names {
                    match named(endpoints, kind, name) {
                        Err(problem) => problems.add(field(part), name, problem),
                        Ok(subjects) => {
                            subjects.into_iter().for_each(|subject| at.entry(subject).or_default().push(number));
                        }
                    }
                }
            }
        }
        Self { rules, at }
    }

    /// Whether a rule allows the caller what is asked at the subject.
    pub(super) fn allow(&self, caller: &Caller, subject: &str) -> bool {
        self.at
            .get(subject)
            .is_some_and(|numbers| numbers.iter().any(|number| self.rules[*number].conditions().hold_for(caller)))
    }
}

/// The subjects of what a rule names.
fn named(endpoints: &Endpoints, kind: Kind, name: &str) -> Result<Vec<String>, String> {
    let parts = match name {
        "*" => None,
        name => Some(name.split_once('.').ok_or("must be `{aggregate}.{name}`, `{aggregate}.*` or `*`")?),
    };
    if let Some((aggregate, _)) = parts
        && !endpoints.iter().any(|endpoint| endpoint.aggregate == *aggregate)
    {
        return Err("there is no such aggregate type".to_owned());
    }
    let is_named = |endpoint: &Endpoint| match parts {
        None => true,
        Some((aggregate, name)) => endpoint.aggregate == *aggregate && (name == "*" || endpoint.asks.name() == name),
    };
    let is_of_kind = |endpoint: &Endpoint| matches!(endpoint.asks, Asks::Command(_)) == (kind == Kind::Command);
    let found: Vec<String> = endpoints
        .iter()
        .filter(|endpoint| is_of_kind(endpoint) && is_named(endpoint))
        .map(|endpoint| endpoint.subject.clone())
        .collect();
    let what = if kind == Kind::Command { "command" } else { "query" };
    if found.is_empty() && parts.is_some() { Err(format!("the aggregate type has no such {what}")) } else { Ok(found) }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules({})", self.rules.len())
    }
}
