//! The page itself: what its tables name is what the tests have to walk.

use std::collections::BTreeSet;

use headwater_tests::Site;

const PAGE: &str = include_str!("../../docs/wire-protocol.md");

/// What the page describes and no service does yet, and why.
pub(crate) const NOT_YET: [(&str, &str); 2] =
    [("401 unauthenticated", "there is no auth to switch on"), ("403 forbidden", "there is no auth to switch on")];

/// One row of the table of failures.
pub(crate) struct Code {
    pub(crate) number: u16,
    pub(crate) code: &'static str,
    pub(crate) retryable: bool,
}

/// Every row of the table of failures.
pub(crate) fn codes() -> Vec<Code> {
    let rows = rows("| number | `code` | when | retry? |");
    let code = |cells: Vec<&'static str>| Code {
        number: cells[0].parse().unwrap(),
        code: cells[1].trim_matches('`'),
        retryable: cells[3].starts_with("yes"),
    };
    rows.into_iter().map(code).collect()
}

/// The rows of the table with this head.
fn rows(head: &str) -> Vec<Vec<&'static str>> {
    let mut lines = PAGE.lines().skip_while(|line| *line != head).skip(2).peekable();
    assert!(lines.peek().is_some(), "the page has no table with the head {head}");
    // A bar inside a cell is written `\|`.
    let cells = |line: &'static str| {
        let inner = line.trim_start_matches("| ").trim_end_matches(" |");
        inner.split(" | ").map(str::trim).collect()
    };
    lines.take_while(|line| line.starts_with('|')).map(cells).collect()
}

#[test]
fn the_subjects_of_the_page_are_those_that_are_walked_here() {
    let walked = [
        // `commands`, `codes`
        "`{service}.command.{aggregate}.{command}`",
        // `queries`
        "`{service}.query.{aggregate}.get`",
        "`{service}.query.{aggregate}.history`",
        "`{service}.query.{aggregate}.{name}`",
        // `feed`
        "`{service}.events.{aggregate}.{event}`",
        // `journal`
        "`{service}.journal.{aggregate}.{id-token}.{event}`",
        // `discovery`, `contract`
        "`{service}.health`, `.info`, `.stats`",
        "`{service}.schema`",
        "`$SRV.PING\\|INFO\\|STATS[.{service}[.{instance id}]]`",
    ];
    let named: Vec<_> = rows("| subject | what | who |").into_iter().map(|cells| cells[0]).collect();
    assert_eq!(named, walked);
}

#[test]
fn the_members_of_a_stored_event_are_those_that_are_looked_at() {
    let named: Vec<_> = rows("| member | value |").into_iter().flat_map(|cells| backquoted(cells[0])).collect();
    let mut looked_at: Vec<_> = super::journal::MEMBERS.to_vec();
    looked_at.retain(|member| !["specversion", "datacontenttype"].contains(member));
    assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), looked_at.into_iter().collect());
    for member in ["specversion", "datacontenttype"] {
        assert!(PAGE.contains(&format!("\"{member}\"")), "{member}");
    }
}

/// What stands in backquotes.
fn backquoted(cell: &'static str) -> Vec<&'static str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[tokio::test]
async fn what_is_not_built_yet_is_not_there() {
    let site = Site::open().await;
    let instance = site.instance().await;
    let features = instance.service.info().identity.metadata["features"].clone();
    assert_eq!(features, "limits,queue-group,snapshots", "a further feature may reach a further code");
    for (missing, why) in NOT_YET {
        let on_the_page = codes().iter().any(|row| format!("{} {}", row.number, row.code) == missing);
        assert!(on_the_page, "{missing} ({why}) is not on the page");
    }
}
