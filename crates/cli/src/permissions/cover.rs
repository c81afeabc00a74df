//! Whether the permissions that a user has cover what a role needs.

use serde::Deserialize;

use super::rights::Rights;

/// What the server says of a user, to the user: the answer on `$SYS.REQ.USER.INFO`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct UserInfo {
    #[serde(default)]
    pub(crate) user: String,
    #[serde(default)]
    pub(crate) account: String,
    /// None: everything is permitted.
    #[serde(default)]
    permissions: Option<Permissions>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Permissions {
    #[serde(default)]
    publish: Option<Subjects>,
    #[serde(default)]
    subscribe: Option<Subjects>,
    #[serde(default)]
    responses: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Subjects {
    #[serde(default)]
    allow: Option<Vec<String>>,
    #[serde(default)]
    deny: Option<Vec<String>>,
}

impl UserInfo {
    /// What of `needed` the server does not permit: a sentence for each.
    pub(crate) fn lacks(&self, needed: &Rights) -> Vec<String> {
        let Some(Permissions { publish, subscribe, responses }) = &self.permissions else { return Vec::new() };
        let mut lacking = Vec::new();
        for right in needed.publish.iter().filter(|right| !permits(publish.as_ref(), &right.subject)) {
            lacking.push(format!("may not publish to {} ({})", right.subject, right.why));
        }
        for right in needed.subscribe.iter().filter(|right| !permits(subscribe.as_ref(), &right.subject)) {
            lacking.push(format!("may not subscribe to {} ({})", right.subject, right.why));
        }
        // Without a list of what may be published to, replies are permitted as everything is.
        let may_reply = responses.is_some() || permits(publish.as_ref(), "_INBOX.>");
        if needed.responses.is_some() && !may_reply {
            lacking.push("may not reply (allow_responses)".to_owned());
        }
        lacking
    }
}

/// Whether everything that `subject` stands for is permitted.
fn permits(subjects: Option<&Subjects>, subject: &str) -> bool {
    let Some(Subjects { allow, deny }) = subjects else { return true };
    let allow = allow.as_deref().unwrap_or_default();
    let deny = deny.as_deref().unwrap_or_default();
    // An entry with a queue group after the subject permits only to join that group, and denies only that.
    let allowed = allow.is_empty() || allow.iter().any(|entry| covers(entry, subject));
    allowed && !deny.iter().any(|entry| overlap(entry, subject))
}

/// Whether every subject that `inner` stands for is one that `outer` stands for.
fn covers(outer: &str, inner: &str) -> bool {
    let (mut outer, mut inner) = (outer.split('.'), inner.split('.'));
    loop {
        match (outer.next(), inner.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(token), Some(other)) if token == other => {}
            _ => return false,
        }
    }
}

/// Whether some subject is one that both stand for.
fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
            (Some(token), Some(same)) if token == same => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_core::Name;
    use headwater_nats::connect::NatsConfig;
    use serde_json::json;

    use super::*;
    use crate::permissions::rights::Place;

    #[test]
    fn patterns_cover_and_overlap_as_the_server_has_it() {
        for (outer, inner, expected) in [
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("a.>", "a.>", true),
            ("a.*", "a.>", false),
            ("a.*", "a.*", true),
            ("a.b", "a.*", false),
            (">", "a", true),
            ("a.*.c", "a.b.c", true),
            ("a.*", "a.b.c", false),
        ] {
            assert_eq!(covers(outer, inner), expected, "{outer} {inner}");
        }
        for (one, other, expected) in
            [("a.*", "*.b", true), ("a.b", "a.c", false), ("a.>", "*.b.c", true), ("a", "a.>", false), (">", "a", true)]
        {
            assert_eq!((overlap(one, other), overlap(other, one)), (expected, expected), "{one} {other}");
        }
    }

    fn user(permissions: &serde_json::Value) -> UserInfo {
        serde_json::from_value(json!({ "user": "ann", "account": "A", "permissions": permissions })).unwrap()
    }

    #[test]
    fn what_is_lacking_is_told_with_its_reason() {
        let service = Name::new("receipts").unwrap();
        let client = Rights::client(&service, &Place::of(&NatsConfig::default()));
        assert!(UserInfo::default().lacks(&client).is_empty());
        let all = json!({ "publish": { "allow": ["receipts.>"] }, "subscribe": { "allow": [">"] } });
        assert!(user(&all).lacks(&client).is_empty());
        let denied = json!({ "publish": { "allow": ["receipts.>"], "deny": ["receipts.command.*.void"] } });
        assert_eq!(user(&denied).lacks(&client), ["may not publish to receipts.command.*.* (send commands)"]);
        let deaf = json!({ "subscribe": { "allow": ["_INBOX.>", "receipts.events.> readers"] } });
        assert_eq!(user(&deaf).lacks(&client), ["may not subscribe to receipts.events.*.* (live events)"]);
        let mute = json!({ "publish": { "allow": ["receipts.>", "$JS.API.>", "$KV.>"] } });
        let service = Rights::service(&service, &Place::of(&NatsConfig::default()), true);
        assert_eq!(user(&mute).lacks(&service), ["may not reply (allow_responses)"]);
    }
}
