//! What the verbs have in common: reading the file, and telling plans, steps and errors.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use headwater_nats_messaging::topology::{Action, Done, Leave, Plan, Topology, TopologyError};
use serde_json::{Value, json};

use crate::complaint::{Complaint, with_causes};
use crate::output::{Style, plain};
use crate::world::World;

/// Reads a topology; what is wrong with it is told with file, line and field.
pub(super) fn load(file: &Path) -> Result<Topology, Complaint> {
    Topology::load(file).map_err(|error| complaint(&error))
}

/// An error as the program tells it.
pub(super) fn complaint(error: &TopologyError) -> Complaint {
    match error {
        TopologyError::Mistakes(mistakes) => {
            let all: Vec<Value> = mistakes
                .all()
                .iter()
                .map(|mistake| {
                    json!({
                        "file": *mistake.place.file, "line": mistake.place.line, "column": mistake.place.column,
                        "field": mistake.field, "message": mistake.message,
                    })
                })
                .collect();
            Complaint::refused("invalid-topology", mistakes.to_string()).detail("mistakes", all)
        }
        TopologyError::Refused { problems, .. } => {
            Complaint::refused("topology-refused", problems.join("\n")).detail("problems", problems.clone())
        }
        TopologyError::NeedsReplace { changes, .. } => Complaint::refused("needs-replace", error.to_string())
            .detail("changes", changes.clone())
            .note("--allow-replace deletes it and makes it anew; what it has is lost."),
        TopologyError::Contended { .. } => Complaint::failed("contended", error.to_string()),
        TopologyError::Unavailable { .. } => Complaint::failed("unavailable", with_causes(error)),
        TopologyError::Server { .. } => Complaint::refused("refused-by-server", error.to_string()),
        _ => Complaint::failed("failed", with_causes(error)),
    }
}

/// Writes a plan: as a diff, or as JSON with whether there is something to do.
pub(super) fn plan(world: &World, plan: &Plan, leave: Leave) -> Result<(), Complaint> {
    if world.is_json() {
        let mut value = json!(plan);
        value["pending"] = json!(!plan.is_done(leave));
        return Ok(world.output.json(&value)?);
    }
    for change in &plan.changes {
        let text = change.to_string();
        let (first, rest) = text.split_once('\n').map_or((text.as_str(), None), |(first, rest)| (first, Some(rest)));
        world.output.line(world.output.styled(style(change.action), &plain(first)))?;
        world.output.lines(rest.into_iter().flat_map(str::lines).map(plain))?;
    }
    for problem in &plan.problems {
        world.output.line(world.output.styled(Style::Bad, &plain(&format!("x {}", problem.message))))?;
    }
    Ok(world.output.line(plan.summary())?)
}

fn style(action: Action) -> Style {
    match action {
        Action::Create => Style::Good,
        Action::Update => Style::Warning,
        Action::Extra => Style::Quiet,
        _ => Style::Bad,
    }
}

/// A step that was done, in a line.
pub(super) fn step(world: &World, done: &Done) -> io::Result<()> {
    let verb = match done.action {
        Action::Create => "created",
        Action::Update => "updated",
        Action::Replace => "replaced",
        _ => "deleted",
    };
    match world.is_json() {
        true => world.output.json(done),
        false => world.output.line(format!("{verb} {}", plain(&done.target.to_string()))),
    }
}

/// Asks the person at the terminal; where there is none, `--yes` is needed.
pub(super) fn confirmed(yes: bool, question: &str) -> Result<(), Complaint> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Complaint::refused("unconfirmed", format!("{question} Nobody is there to ask; --yes says so.")));
    }
    let mut answer = String::new();
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush())?;
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Complaint::refused("unconfirmed", "nothing was changed")),
    }
}
