//! The running instances of the service, found over `$SRV`, and what they have served.

use std::time::Duration;

use headwater::call::CallError;
use headwater::client::NatsClient;
use headwater::nats::discovery::Stats;
use sample_receipts::SERVICE;
use serde_json::json;

use super::report::Report;
use crate::complaint::Complaint;
use crate::show;

/// Asks every instance of the service for its statistics; in the order of their ids, which is that of their starts.
pub(crate) async fn instances(
    client: &NatsClient,
    expect: Option<usize>,
    within: Duration,
) -> Result<Vec<Stats>, CallError> {
    let mut question = client.discovery().stats().service(SERVICE).within(within);
    if let Some(expect) = expect {
        question = question.expecting(expect);
    }
    let mut instances = question.await?.answers;
    instances.sort_by(|one, other| one.identity.id.cmp(&other.identity.id));
    Ok(instances)
}

/// How many requests an instance has served, whatever they asked for.
pub(crate) fn requests(instance: &Stats) -> u64 {
    instance.endpoints.iter().map(|endpoint| endpoint.num_requests).sum()
}

/// A table of the instances.
pub(crate) fn table(instances: &[Stats]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<32}  {:<8} {:<20} {:>8} {:>6} {:>10}",
        "instance", "version", "started", "requests", "errors", "average"
    )];
    lines.extend(instances.iter().map(line));
    lines
}

fn line(instance: &Stats) -> String {
    let requests = requests(instance);
    let errors: u64 = instance.endpoints.iter().map(|endpoint| endpoint.num_errors).sum();
    let nanoseconds: u64 = instance.endpoints.iter().map(|endpoint| endpoint.processing_time).sum();
    // A division by nothing shows as no time at all.
    let average = nanoseconds.checked_div(requests).unwrap_or_default();
    let average = format!("{:.2} ms", Duration::from_nanos(average).as_secs_f64() * 1000.0);
    let id = show::plain(&instance.identity.id);
    let version = show::plain(&instance.identity.version);
    let started = instance.started.format("%Y-%m-%d %H:%M:%S");
    format!("{id:<32}  {version:<8} {started:<20} {requests:>8} {errors:>6} {average:>10}")
}

pub(super) async fn run(
    client: &NatsClient,
    expect: Option<usize>,
    within: Duration,
    report: &mut Report<'_>,
) -> Result<(), Complaint> {
    let found = instances(client, expect, within).await.map_err(|error| report.complain(error))?;
    if found.is_empty() {
        return Err(report.complain(CallError::NoResponders { service: SERVICE.to_owned() }));
    }
    match report.json {
        true => report.output.line(json!(found))?,
        false => report.output.lines("", table(&found))?,
    }
    match expect {
        Some(expect) if found.len() < expect => Err(Complaint::Failed(format!(
            "{} answered, and {expect} were expected",
            show::counted(found.len() as u64, "instance")
        ))),
        _ => Ok(()),
    }
}
