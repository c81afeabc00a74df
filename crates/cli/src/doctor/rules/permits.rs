//! What the user signed in may not do.

use super::super::facts::Facts;
use super::super::finding::Finding;
use crate::backup::api::ApiProblem;
use crate::permissions::rights::Rights;

pub(super) fn judge(facts: &Facts, needed: Option<&Rights>, findings: &mut Vec<Finding>) {
    let account = facts.account.as_ref().err().filter(|problem| is_forbidden(problem));
    // Where the account has no JetStream, that was told.
    let has_jetstream = facts.account.as_ref().err().is_none_or(is_forbidden);
    let streams = facts.streams.as_ref().err().filter(|_| has_jetstream);
    let lists = facts.streams.as_deref().unwrap_or_default();
    let consumers = lists.iter().filter_map(|stream| stream.consumers.as_ref().err());
    let problems = account.into_iter().chain(streams).chain(consumers);
    for problem in problems {
        match problem {
            ApiProblem::Forbidden { subject } => {
                let reason = format!("this user may not publish to {subject}, so a part was not looked at");
                let finding = Finding::warning("permission-missing", "user", reason);
                findings.push(finding.mend("headwater permissions --role admin --service NAME"));
            }
            other => findings.push(Finding::warning("not-looked-at", "JetStream", other.to_string())),
        }
    }
    if let Some(needed) = needed {
        role(facts, needed, findings);
    }
}

fn is_forbidden(problem: &ApiProblem) -> bool {
    matches!(problem, ApiProblem::Forbidden { .. })
}

fn role(facts: &Facts, needed: &Rights, findings: &mut Vec<Finding>) {
    let mut command = format!("headwater permissions --role {}", needed.role);
    if let Some(service) = &needed.service {
        command = format!("{command} --service {service}");
    }
    let user = match &facts.user {
        Ok(user) => user,
        Err(problem) => {
            let reason = format!("the server does not tell what this user may do: {problem}");
            let finding = Finding::warning("permission-unknown", "user", reason);
            findings.push(finding.mend("permit the user to publish to $SYS.REQ.USER.INFO while it is looked at"));
            return;
        }
    };
    for lacking in user.lacks(needed) {
        let about = format!("user {}", user.user);
        let reason = format!("for the role {} it {lacking}", needed.role);
        findings.push(Finding::severe("permission-missing", about, reason).mend(&command));
    }
}
