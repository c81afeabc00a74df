//! `headwater doctor`: what is wrong, or will be, with the server, the streams and the consumers, and what mends it.
//!
//! - `facts`: everything that is looked at, gathered first; `monitor`: the part that comes over HTTP.
//! - `rules`: from facts to findings, without asking anybody anything.

mod facts;
mod finding;
mod monitor;
mod rules;

use headwater_core::Name;
use serde_json::json;

use crate::backup::api::{Api, check_stream_name};
use crate::complaint::Complaint;
use crate::exit::Exit;
use crate::output::{Style, counted, plain};
use crate::permissions::rights::{Place, Role};
use crate::world::World;
use facts::Facts;
use finding::{Finding, Severity};
use monitor::MonitorUrl;

/// Look for what is wrong with server, streams and consumers, and say what mends it
///
/// Nothing is changed. Exit status 1 when something is found that is as bad as --fail-on says.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  headwater doctor
  headwater doctor --monitor http://localhost:8222 --fail-on warning
  headwater doctor --service receipts --role service --creds receipts.creds
  headwater doctor --stream RECEIPTS_JOURNAL --json")]
pub(crate) struct Args {
    /// The server's monitoring pages: reads /healthz, /varz, /jsz and /connz too
    #[arg(long, value_name = "URL")]
    monitor: Option<MonitorUrl>,

    /// A service whose journal must be there
    #[arg(long, value_name = "NAME")]
    service: Option<Name>,

    /// Check that the user signed in has the permissions of this role; with --service
    #[arg(long, value_enum, value_name = "ROLE", requires = "service")]
    role: Option<Role>,

    /// For the role of a projector: its durable readers
    #[arg(long, value_name = "NAME", requires = "role")]
    durable: Vec<Name>,

    /// Only this stream; may be given more than once
    #[arg(long, value_name = "STREAM")]
    stream: Vec<String>,

    /// From which severity on the exit status is 1
    #[arg(long, value_enum, value_name = "SEVERITY", default_value = "severe")]
    fail_on: Severity,
}

pub(crate) async fn run(args: Args, world: &World) -> Result<Exit, Complaint> {
    args.stream.iter().try_for_each(|name| check_stream_name(name))?;
    let place = Place::of(&world.config()?);
    let (connection, limit) = world.connect().await?;
    let api = Api::new(connection, limit);
    let facts = facts::gather(&api, args.service.as_ref(), &args.stream, args.monitor.as_ref()).await;
    let needed = args.role.zip(args.service.as_ref());
    let needed = needed.map(|(role, service)| rules::rights(role, service, &place, &args.durable));
    let mut findings = rules::judge(&facts, args.service.as_ref(), &args.stream, needed.as_ref());
    findings.sort_by(|one, other| other.severity.cmp(&one.severity).then_with(|| one.about.cmp(&other.about)));
    tell(world, &facts, &findings)?;
    let bad = findings.iter().filter(|finding| finding.severity >= args.fail_on).count();
    match bad {
        0 => Ok(Exit::Done),
        bad => Err(Complaint::failed("unhealthy", format!("{} to mend", counted(bad as u64, "finding")))
            .detail("findings", bad)),
    }
}

fn tell(world: &World, facts: &Facts, findings: &[Finding]) -> Result<(), Complaint> {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (severe, warnings, infos) = (count(Severity::Severe), count(Severity::Warning), count(Severity::Info));
    let level = facts.account.as_ref().ok().map(|account| account.api.level);
    let (streams, consumers) = looked_at(facts);
    if world.is_json() {
        let server = facts.server.as_ref().map(|server| {
            json!({ "name": server.name, "version": server.version.to_string(), "cluster": server.cluster, "apiLevel": level })
        });
        let user = facts.user.as_ref().ok().map(|user| json!({ "user": user.user, "account": user.account }));
        let clock = facts.clock.map(|clock| json!({ "aheadMs": clock.ahead, "uncertainMs": clock.uncertain }));
        world.output.json(&json!({
            "server": server, "user": user, "clock": clock, "streams": streams, "consumers": consumers,
            "severe": severe, "warnings": warnings, "infos": infos, "findings": findings,
        }))?;
        return Ok(());
    }
    if let Some(server) = &facts.server {
        let level = level.map_or_else(String::new, |level| format!(", API level {level}"));
        world.output.line(format!("{}: nats-server {}{level}", plain(&server.name), server.version))?;
    }
    for finding in findings {
        show(world, finding)?;
    }
    world.output.line(format!(
        "Looked at {} and {}: {severe} severe, {}, {infos} for information",
        counted(streams, "stream"),
        counted(consumers, "consumer"),
        counted(warnings as u64, "warning"),
    ))?;
    Ok(())
}

fn looked_at(facts: &Facts) -> (u64, u64) {
    let streams = facts.streams.as_deref().unwrap_or_default();
    let consumers = streams.iter().map(|stream| stream.consumers.as_ref().map_or(0, Vec::len));
    (streams.len() as u64, consumers.sum::<usize>() as u64)
}

fn show(world: &World, finding: &Finding) -> Result<(), Complaint> {
    let style = match finding.severity {
        Severity::Severe => Style::Bad,
        Severity::Warning => Style::Warning,
        Severity::Info => Style::Quiet,
    };
    let severity = world.output.styled(style, &format!("{:<8}", finding.severity.as_str()));
    let Finding { check, about, reason, mend, .. } = finding;
    world.output.line(format!("{severity} {}: {} [{check}]", plain(about), plain(reason)))?;
    if let Some(mend) = mend {
        world.output.line(format!("         mend: {}", plain(mend)))?;
    }
    Ok(())
}
