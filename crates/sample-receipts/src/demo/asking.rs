//! Steps that only ask.

use headwater::Revision;
use headwater::client::{Entity, GetCall};
use sample_receipts::domain::{Receipt, Status, Summary};

use super::play::{ORDER, Play};
use crate::complaint::Complaint;
use crate::show;

pub(super) async fn now(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Look at the receipt, reading our own writes")?;
    play.stage.shell(&format!("client get {ORDER} --min-revision 8"))?;
    let entity = get(play, play.receipts.get(ORDER).min_revision(8), 8).await?;
    play.stage.check("status", &entity.state.status, &Status::Voided)?;
    play.stage.check("lines", &entity.state.items.len(), &4)
}

pub(super) async fn earlier(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Look at it as it was at revision 4, when there still was tea")?;
    play.stage.shell(&format!("client get {ORDER} --at-revision 4"))?;
    let entity = get(play, play.receipts.get(ORDER).at_revision(4), 4).await?;
    play.stage.check("status", &entity.state.status, &Status::Open)?;
    play.stage.check("the total", &entity.state.total.to_string().as_str(), &"24.43")
}

async fn get(play: &mut Play<'_, '_>, call: GetCall<Receipt>, revision: u64) -> Result<Entity<Receipt>, Complaint> {
    play.requests += 1;
    let entity = call.await.map_err(|error| play.stage.wrong("a receipt", &error.to_string()))?;
    play.stage.check("revision", &entity.revision, &Revision::new(revision))?;
    for line in show::receipt(&entity.state) {
        play.stage.say(line)?;
    }
    Ok(entity)
}

pub(super) async fn summary(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Ask a query of the receipt's own")?;
    play.stage.shell(&format!("client summary {ORDER}"))?;
    play.requests += 1;
    let summary = play.receipts.summary(ORDER, Summary {}).await;
    let answer = summary.map_err(|error| play.stage.wrong("a summary", &error.to_string()))?.answer;
    play.stage.check("lines and pieces", &(answer.lines, answer.pieces), &(4, 5))?;
    play.stage.tell("summary", show::summary(&answer))?;
    Ok(())
}

pub(super) async fn history(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Read its history: what happened is what is stored")?;
    play.stage.shell(&format!("client history {ORDER}"))?;
    play.requests += 1;
    let history = play.receipts.history(ORDER).await;
    let page = history.map_err(|error| play.stage.wrong("a history", &error.to_string()))?;
    play.stage.check("events", &page.events.len(), &8)?;
    for event in &page.events {
        play.stage.say(show::recorded(event))?;
    }
    Ok(())
}
