//! The account's limits.

use indicatif::HumanBytes;

use super::super::facts::{Account, Facts};
use super::super::finding::{Finding, fullness};
use crate::backup::api::ApiProblem;

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    match &facts.account {
        Ok(account) => limits(account, findings),
        // Told with the other permissions.
        Err(ApiProblem::Forbidden { .. }) => {}
        // Told with the server.
        Err(_) if facts.server.as_ref().is_some_and(|server| !server.jetstream && server.cluster.is_none()) => {}
        Err(problem) => {
            let finding = Finding::severe("no-jetstream", "account", problem.to_string());
            findings.push(finding.mend("jetstream: enabled in the account's block of the server's configuration"));
        }
    }
}

fn limits(account: &Account, findings: &mut Vec<Finding>) {
    let Account { limits, .. } = account;
    let storage = account.storage.max(account.reserved_storage);
    let memory = account.memory.max(account.reserved_memory);
    let rows = [
        ("account-storage", storage, limits.max_storage, true, "max_file"),
        ("account-memory", memory, limits.max_memory, true, "max_memory"),
        ("account-streams", account.streams, limits.max_streams, false, "max_streams"),
        ("account-consumers", account.consumers, limits.max_consumers, false, "max_consumers"),
    ];
    for (check, used, limit, is_bytes, setting) in rows {
        // Zero and less: no limit, or none of it at all, which the server then says by itself.
        let Some(limit) = u64::try_from(limit).ok().filter(|limit| *limit > 0) else { continue };
        let Some((severity, percent)) = fullness(used, limit) else { continue };
        let show = |count: u64| if is_bytes { HumanBytes(count).to_string() } else { count.to_string() };
        let reason = format!("{} of {} are used ({percent} %)", show(used), show(limit));
        let finding = Finding::new(severity, check, "account", reason);
        findings.push(
            finding.mend(format!("raise `{setting}` in the account's jetstream block, or delete what nobody needs")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::Limits;
    use super::super::super::finding::Severity;
    use super::*;

    #[test]
    fn what_is_reserved_counts_as_used_and_no_limit_is_never_reached() {
        let limits = Limits { max_storage: 100, max_memory: -1, max_streams: 10, max_consumers: 0 };
        let account =
            Account { reserved_storage: 96, storage: 3, streams: 8, consumers: 9, limits, ..Account::default() };
        let mut findings = Vec::new();
        super::limits(&account, &mut findings);
        let found: Vec<_> = findings.iter().map(|finding| (finding.check, finding.severity)).collect();
        assert_eq!(found, [("account-storage", Severity::Severe), ("account-streams", Severity::Warning)]);
    }
}
