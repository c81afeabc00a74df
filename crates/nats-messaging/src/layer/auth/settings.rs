//! The settings of auth.

use std::sync::Arc;

use headwater_nats::auth::{Basic, Jwt, Nkeys, Ways, check_roles};
use headwater_nats::problem::{InvalidSettings, Problems};
use serde::{Deserialize, Serialize};

use super::guard::Guard;
use super::{AuthLayer, Authenticate, Rule};

/// Who may send messages to handlers, and what about.
///
/// Senders prove who they are in headers: with a bearer JWT ([`Jwt`]), with a signature ([`Nkeys`]), with a password ([`Basic`]),
/// or in a way of the program's own ([`Authenticate`]). Several can be on at once; the first that recognises a message decides.
/// Then the [`Rule`]s decide: what no rule allows is refused. A sender that belongs to a tenant speaks for no other, whatever
/// the message's envelope says.
///
/// The credentials of an **event** have to be good when it is stored: it may be read a week later. (Of redriven events:
/// [`trust_redriven`](Self::trust_redriven).) A signature is taken from the message that carries it, as often as that comes, and
/// from no other.
///
/// An event that is not let through is poison: it becomes a dead letter, or what else
/// [`AfterLast`](crate::processing::AfterLast) says. That should be said: by default what is poison is tried for ever, and a
/// thousand events of a stranger would hold the consumer up. When it cannot be told now who sent it, it waits.
///
/// What stands in the headers of an event is stored with it, and in its dead letter. A token that is good for minutes is best; a
/// password is nothing for events.
///
/// ```no_run
/// use headwater_nats::auth::{Jwt, JwtKey};
/// use headwater_nats_messaging::layer::{Auth, Caller, Rule};
/// use headwater_nats_messaging::router::Router;
///
/// async fn placed(caller: Caller) {
///     println!("{} placed an order", caller.user());
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let auth = Auth::default()
///     .jwt(Jwt::new(JwtKey::jwks("/etc/shop/jwks.json")).issuer("https://id.example").audience("shop"))
///     .roles(["clerk"])
///     .rule(Rule::allow(["orders.>"]).role("clerk"))
///     .layer()
///     .await?;
/// let router: Router = Router::new().service("shop").on_event("orders.*.placed", placed).layer(auth);
/// # Ok(())
/// # }
/// ```
///
/// The same as TOML:
///
/// ```toml
/// [auth]
/// roles = ["clerk"]
/// [auth.jwt]
/// key = { jwks = "/etc/shop/jwks.json" }
/// issuer = "https://id.example"
/// audience = ["shop"]
/// [[auth.rules]]
/// subjects = ["orders.>"]
/// roles = ["clerk"]
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct Auth {
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<Jwt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nkeys: Option<Nkeys>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basic: Option<Basic>,
    roles: Vec<String>,
    rules: Vec<Rule>,
    trust_redriven: bool,
    #[serde(skip)]
    own: Vec<Arc<dyn Authenticate>>,
}

impl Auth {
    /// Takes bearer tokens. Off by default.
    pub fn jwt(mut self, jwt: Jwt) -> Self {
        self.jwt = Some(jwt);
        self
    }

    /// Takes messages signed with an NKey. Off by default.
    pub fn nkeys(mut self, nkeys: Nkeys) -> Self {
        self.nkeys = Some(nkeys);
        self
    }

    /// Takes names and passwords: for requests. Off by default.
    pub fn basic(mut self, basic: Basic) -> Self {
        self.basic = Some(basic);
        self
    }

    /// Takes senders in a way of the program's own. What was added first is asked first, and before the built-in ways.
    pub fn authenticator(mut self, own: impl Authenticate) -> Self {
        self.own.push(Arc::new(own));
        self
    }

    /// Adds to the roles there are. A rule or a user that names another one is an error; a token's other roles mean nothing.
    pub fn roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles.extend(roles.into_iter().map(Into::into));
        self
    }

    /// Allows something. Nothing by default.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Takes the credentials of events that were [redriven](crate::dead_letter) however old they are, and signatures again. Off by
    /// default: a redriven event is stored anew, and its credentials have to be good then.
    ///
    /// That an event was redriven it says itself, in a header. With this on, whoever may publish to the stream and has an old
    /// token of somebody else can use it; so it is for streams to which only those publish who are trusted with that.
    pub fn trust_redriven(mut self, trust: bool) -> Self {
        self.trust_redriven = trust;
        self
    }

    /// The layer. It reads the files with keys and users, and looks at them every second from now on, for as long as a clone
    /// of it, or a router that it is around, lives. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// With everything that is wrong with the settings, or with those files.
    pub async fn layer(self) -> Result<AuthLayer, InvalidSettings> {
        // It reads files.
        let opened = tokio::task::spawn_blocking(move || self.open()).await;
        let guard = opened.unwrap_or_else(|stopped| {
            let mut problems = Problems::default();
            problems.add("auth", &"", format!("its files could not be read: {stopped}"));
            Err(problems.none().err().unwrap_or(InvalidSettings { problems: Vec::new() }))
        })?;
        guard.watch();
        Ok(AuthLayer::new(guard))
    }

    fn open(self) -> Result<Guard, InvalidSettings> {
        let mut problems = Problems::default();
        let Self { jwt, nkeys, basic, roles, rules, trust_redriven, own } = self;
        if jwt.is_none() && nkeys.is_none() && basic.is_none() && own.is_empty() {
            problems.add("auth", &"", "knows nobody: one of jwt, nkeys, basic or an authenticator is needed");
        }
        if rules.is_empty() {
            problems.add("auth.rules", &"", "allow nothing, so that every message would be refused");
        }
        check_roles(&roles, &mut problems);
        let guard = Guard::open(Ways { jwt, nkeys, basic }, own, &roles, rules, &mut problems);
        problems.none()?;
        guard.map(|guard| guard.trust_redriven(trust_redriven)).ok_or(InvalidSettings { problems: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use headwater_nats::auth::{JwtKey, NkeyUser};

    use super::*;

    #[tokio::test]
    async fn everything_that_is_wrong_is_told() {
        let wrong = async |auth: Auth| {
            let problems = auth.layer().await.unwrap_err().problems;
            problems.into_iter().map(|problem| problem.setting).collect::<Vec<_>>()
        };
        assert_eq!(wrong(Auth::default()).await, ["auth", "auth.rules"]);
        let auth = Auth::default()
            .jwt(Jwt::new(JwtKey::jwks("/nowhere/jwks.json")))
            .nkeys(Nkeys::default().allow(NkeyUser::new("U1", "till")))
            .roles(["clerk", "clerk"])
            .rule(Rule::allow(["orders.>", "a..b"]).role("lead"))
            .rule(Rule::default());
        assert_eq!(
            wrong(auth).await,
            [
                "auth.roles[1]",
                "auth.rules[0].roles",
                "auth.rules[0].subjects",
                "auth.rules[1]",
                "auth.jwt.key.jwks",
                "auth.nkeys.allowed[0].key"
            ]
        );
    }

    #[test]
    fn the_settings_can_be_read_from_a_file() {
        let text =
            "roles = ['clerk']\n[jwt]\nkey = { jwks = 'keys' }\n[[rules]]\nsubjects = ['a.>']\nroles = ['clerk']";
        let read: Auth = toml::from_str(text).unwrap();
        assert_eq!(read.rules, [Rule::allow(["a.>"]).role("clerk")]);
        assert!(toml::from_str::<Auth>("tenants = true").is_err());
    }
}
