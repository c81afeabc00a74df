//! Steps that end a receipt's life.

use sample_receipts::domain::{Finalize, Status, Void};

use super::play::{Effect, ORDER, Play};
use crate::complaint::Complaint;

pub(super) async fn finalize(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Finalize the receipt")?;
    play.stage.shell(&format!("client finalize {ORDER}"))?;
    let call = play.receipts.finalize(ORDER, Finalize {});
    let executed = play.command(call, &Effect::new(["receipt-finalized"], 7, "22.53")).await?;
    play.stage.check("status", &executed.state.status, &Status::Closed)
}

pub(super) async fn void(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Void it")?;
    play.stage.shell(&format!("client void {ORDER} --reason 'paid twice'"))?;
    let call = play.receipts.void(ORDER, Void { reason: "paid twice".to_owned() });
    let executed = play.command(call, &Effect::new(["receipt-voided"], 8, "22.53")).await?;
    play.stage.check("status", &executed.state.status, &Status::Voided)
}
