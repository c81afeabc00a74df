//! Permissions as the server's configuration has them, and as `nsc` takes them.

use std::fmt::Write as _;

use super::rights::{Responses, Right, Rights};

/// The block for a user's entry; `title` is the comment above it.
pub(crate) fn conf(rights: &Rights, title: &str) -> String {
    let mut text = format!("# {title}\npermissions {{\n");
    list(&mut text, "publish", &rights.publish);
    list(&mut text, "subscribe", &rights.subscribe);
    if let Some(Responses { max, expires }) = rights.responses {
        let _ = writeln!(
            text,
            "  # replies, to whoever asked\n  allow_responses {{ max: {max}, expires: \"{expires}s\" }}"
        );
    }
    text.push('}');
    text
}

fn list(text: &mut String, name: &str, rights: &[Right]) {
    // Without a list everything would be permitted.
    if rights.is_empty() {
        let _ = writeln!(text, "  {name} {{ deny: \">\" }}");
        return;
    }
    let _ = writeln!(text, "  {name} {{\n    allow: [");
    let mut why = "";
    for right in rights {
        if right.why != why {
            why = right.why;
            let _ = writeln!(text, "      # {why}");
        }
        let _ = writeln!(text, "      \"{}\"", right.subject);
    }
    text.push_str("    ]\n  }\n");
}

/// The command that makes such a user.
pub(crate) fn nsc(rights: &Rights, user: &str, account: &str) -> String {
    let mut lines = vec![format!("nsc add user --account {} --name {}", quoted(account), quoted(user))];
    lines.extend(rights.publish.iter().map(|right| format!("--allow-pub {}", quoted(&right.subject))));
    lines.extend(rights.subscribe.iter().map(|right| format!("--allow-sub {}", quoted(&right.subject))));
    if let Some(Responses { max, expires }) = rights.responses {
        lines.push(format!("--allow-pub-response={max} --response-ttl {expires}s"));
    }
    lines.join(" \\\n  ")
}

/// A word as the shell takes it literally.
fn quoted(word: &str) -> String {
    match word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permissions::rights::Role;

    fn rights(responses: Option<Responses>) -> Rights {
        let right = |subject: &str, why| Right { subject: subject.to_owned(), why };
        Rights {
            role: Role::Service,
            service: None,
            publish: vec![right("a.*", "first"), right("$KV.A.>", "first"), right("b", "second")],
            subscribe: Vec::new(),
            responses,
        }
    }

    #[test]
    fn the_block_names_each_reason_once_and_denies_what_is_not_listed() {
        let text = conf(&rights(Some(Responses { max: 1, expires: 120 })), "title");
        let expected = r##"# title
permissions {
  publish {
    allow: [
      # first
      "a.*"
      "$KV.A.>"
      # second
      "b"
    ]
  }
  subscribe { deny: ">" }
  # replies, to whoever asked
  allow_responses { max: 1, expires: "120s" }
}"##;
        assert_eq!(text, expected);
    }

    #[test]
    fn the_shell_takes_subjects_literally() {
        let text = nsc(&rights(None), "it's", "ACCOUNT");
        assert!(
            text.starts_with("nsc add user --account ACCOUNT --name 'it'\\''s' \\\n  --allow-pub 'a.*' \\\n"),
            "{text}"
        );
        assert!(text.contains("--allow-pub '$KV.A.>'") && text.ends_with("--allow-pub b"), "{text}");
    }
}
