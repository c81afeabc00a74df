//! Steps that are refused, each in its own way.

use headwater::client::ExecuteError;
use headwater::{Rejection as _, Revision};
use sample_receipts::domain::{AddItem, ReceiptRejection, RemoveItem};

use super::play::{ORDER, Play};
use crate::complaint::Complaint;

pub(super) async fn a_rejection(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Ask for what the domain does not allow: take the same item off again")?;
    play.stage.shell(&format!("client remove-item {ORDER} --name Tea"))?;
    let tea = "Tea".to_owned();
    let call = play.receipts.remove_item(ORDER, RemoveItem { name: tea.clone() });
    let expected = ReceiptRejection::ItemNotFound { name: tea };
    match play.refusal(call, expected.name()).await? {
        ExecuteError::Rejected(rejection) => {
            play.stage.check("the rejection", &rejection, &expected)?;
            play.stage.refused(format_args!("{}: {rejection}", rejection.name()))?;
        }
        error => return Err(play.stage.wrong(expected.name(), &error.to_string())),
    }
    play.stage.say("A rejection is an answer with a type; the client matches on it like on any other value.")?;
    Ok(())
}

pub(super) async fn an_invalid_payload(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Send a payload that breaks its JSON Schema: no name, no pieces")?;
    play.stage.shell(&format!("client add-item {ORDER} --name '' --price 1.00 --quantity 0"))?;
    let price = "1.00".parse().expect("the prices of the script are prices");
    let call = play.receipts.add_item(ORDER, AddItem { name: String::new(), price, quantity: 0 });
    let error = play.refusal(call, "validation-failed").await?;
    let ExecuteError::Invalid(violations) = &error else {
        return Err(play.stage.wrong("validation-failed", &error.to_string()));
    };
    let mut paths: Vec<_> = violations.iter().map(|violation| violation.path.as_str()).collect();
    paths.sort_unstable();
    play.stage.check("violations at", &paths, &vec!["/name", "/quantity"])?;
    play.stage.refused("validation-failed, before any rule of the domain was asked")?;
    for violation in violations {
        play.stage.tell("", format_args!("{:<10} {}", violation.path, violation.message))?;
    }
    Ok(())
}

pub(super) async fn a_stale_revision(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Decide on a state that is out of date: the caller saw revision 3")?;
    play.stage.shell(&format!("client remove-item {ORDER} --name Cake --expected-revision 3"))?;
    let call = play.receipts.remove_item(ORDER, RemoveItem { name: "Cake".to_owned() });
    let error = play.refusal(call.expected_revision(3), "conflict").await?;
    let ExecuteError::Conflict { actual } = &error else {
        return Err(play.stage.wrong("conflict", &error.to_string()));
    };
    play.stage.check("the actual revision", actual, &Some(Revision::new(5)))?;
    play.stage.refused("conflict: the receipt is at revision 5 by now")?;
    play.stage
        .say("Whoever decides on what they saw says which revision that was, and learns that it is out of date.")?;
    Ok(())
}
