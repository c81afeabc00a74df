//! From what a token claims to a caller.

use headwater_core::{AggregateId, MAX_METADATA_LENGTH};
use serde_json::{Map, Value};

use super::Jwt;
use super::reason::Reason;
use crate::caller::Caller;

/// The most roles of a token that are looked at.
const MOST_ROLES: usize = 256;

/// The caller of a token that was found good.
pub(super) fn caller(settings: &Jwt, claims: Map<String, Value>) -> Result<Caller, Reason> {
    let user = at(&claims, &settings.user_claim).and_then(Value::as_str).filter(|user| is_user(user));
    let mut caller = Caller::new(user.ok_or(Reason::Malformed)?);
    match at(&claims, &settings.tenant_claim) {
        None | Some(Value::Null) => {}
        Some(Value::String(tenant)) if is_tenant(tenant) => caller = caller.tenant(tenant),
        Some(_) => return Err(Reason::Malformed),
    }
    for role in roles(at(&claims, &settings.roles_claim))? {
        caller = caller.role(role);
    }
    Ok(claims.into_iter().fold(caller, |caller, (name, value)| caller.claim(name, value)))
}

/// The claim called so, or the one that a JSON Pointer leads to.
pub(super) fn at<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let Some(path) = name.strip_prefix('/') else { return claims.get(name) };
    let mut parts = path.splitn(2, '/');
    let first = parts.next()?.replace("~1", "/").replace("~0", "~");
    let found = claims.get(&first)?;
    match parts.next() {
        None => Some(found),
        Some(rest) => found.pointer(&format!("/{rest}")),
    }
}

/// The roles in a claim: a list of texts, or one text with spaces between.
fn roles(claim: Option<&Value>) -> Result<Vec<&str>, Reason> {
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.split_whitespace().take(MOST_ROLES).collect()),
        Some(Value::Array(list)) => {
            list.iter().take(MOST_ROLES).map(|role| role.as_str().ok_or(Reason::Malformed)).collect()
        }
        Some(_) => Err(Reason::Malformed),
    }
}

/// Whether this can be a caller's user, which is stored with events: 1 to 256 bytes without control characters.
#[must_use]
pub fn is_user(user: &str) -> bool {
    (1..=MAX_METADATA_LENGTH).contains(&user.len()) && !user.chars().any(char::is_control)
}

/// Whether this can be a caller's tenant, which is part of an aggregate's identity: 1 to 128 bytes without control
/// characters.
#[must_use]
pub fn is_tenant(tenant: &str) -> bool {
    AggregateId::new("any", "any").is_ok_and(|any| any.in_tenant(tenant).is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::JwtKey;

    fn read(settings: &Jwt, claims: &Value) -> Result<Caller, Reason> {
        caller(settings, claims.as_object().expect("claims are an object").clone())
    }

    fn settings() -> Jwt {
        Jwt::new(JwtKey::jwks("unused"))
    }

    #[test]
    fn user_tenant_and_roles_come_from_the_usual_claims() {
        let mia =
            read(&settings(), &json!({ "sub": "mia", "tenant": "north", "roles": ["clerk", "lead"], "n": 1 })).unwrap();
        assert_eq!((mia.user(), mia.tenant_id()), ("mia", Some("north")));
        assert_eq!(mia.roles().collect::<Vec<_>>(), ["clerk", "lead"]);
        assert_eq!(mia.claims()["n"], 1);
        assert!(!format!("{mia:?}").contains("sub"), "{mia:?}");
    }

    #[test]
    fn claims_may_have_other_names_and_lie_deeper() {
        let settings =
            settings().user_claim("email").tenant_claim("https://example/tenant").roles_claim("/realm/a~1b/roles");
        let claims = json!({
            "email": "mia@example", "https://example/tenant": "t", "realm": { "a/b": { "roles": "clerk lead" } }
        });
        let mia = read(&settings, &claims).unwrap();
        assert_eq!((mia.user(), mia.tenant_id()), ("mia@example", Some("t")));
        assert!(mia.has_role("clerk") && mia.has_role("lead"));
    }

    #[test]
    fn a_token_whose_claims_cannot_be_stored_is_malformed() {
        let long = "x".repeat(257);
        for claims in [
            json!({}),
            json!({ "sub": 7 }),
            json!({ "sub": "" }),
            json!({ "sub": "two\nlines" }),
            json!({ "sub": long }),
            json!({ "sub": "mia", "tenant": 1 }),
            json!({ "sub": "mia", "tenant": "" }),
            json!({ "sub": "mia", "tenant": "x".repeat(129) }),
            json!({ "sub": "mia", "roles": 1 }),
            json!({ "sub": "mia", "roles": [1] }),
        ] {
            assert_eq!(read(&settings(), &claims).unwrap_err(), Reason::Malformed, "{claims}");
        }
    }
}
