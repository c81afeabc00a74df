//! Steps that change a receipt.

use sample_receipts::domain::{AddItem, AddItems, Price, RemoveItem};

use super::play::{Effect, ORDER, Play, command_id};
use crate::complaint::Complaint;

/// What the first step sends, as any other NATS client would write it.
const REQUEST: &str = r#"{"aggregateId": "order-1001", "command": {"name": "Coffee", "price": "5.99", "quantity": 2}}"#;

fn item(name: &str, price: &str, quantity: u32) -> AddItem {
    AddItem { name: name.to_owned(), price: cost(price), quantity }
}

fn cost(price: &str) -> Price {
    price.parse().expect("the prices of the script are prices")
}

pub(super) async fn put_an_item(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Put an item on a receipt")?;
    play.stage.shell(&format!("client add-item {ORDER} --name Coffee --price 5.99 --quantity 2"))?;
    play.world.tell_request(play.stage, "receipts.command.receipt.add-item", REQUEST)?;
    let call = play.receipts.add_item(ORDER, item("Coffee", "5.99", 2));
    play.command(call, &Effect::new(["item-added"], 1, "11.98")).await?;
    Ok(())
}

pub(super) async fn put_several(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Put several on at once: all of them are stored, or none")?;
    play.stage.shell(&format!("client add-items {ORDER} --item Bagel=3.25 --item Tea=2.50x2 --item Cake=4.20"))?;
    let items = vec![item("Bagel", "3.25", 1), item("Tea", "2.50", 2), item("Cake", "4.20", 1)];
    let call = play.receipts.add_items(ORDER, AddItems { items });
    play.command(call, &Effect::new(["item-added"; 3], 4, "24.43")).await?;
    Ok(())
}

pub(super) async fn take_one_off(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    play.stage.step("Take an item off")?;
    play.stage.shell(&format!("client remove-item {ORDER} --name Tea"))?;
    let call = play.receipts.remove_item(ORDER, RemoveItem { name: "Tea".to_owned() });
    play.command(call, &Effect::new(["item-removed"], 5, "19.43")).await?;
    Ok(())
}

pub(super) async fn repeat_a_command(play: &mut Play<'_, '_>) -> Result<(), Complaint> {
    let id = command_id();
    play.stage.step("Send a command twice, as after a lost reply: it takes effect once")?;
    play.stage.shell(&format!("client add-item {ORDER} --name Juice --price 3.10 --command-id {id}"))?;
    let call = || play.receipts.add_item(ORDER, item("Juice", "3.10", 1)).command_id(id.clone());
    let (first, second) = (call(), call());
    let effect = Effect::new(["item-added"], 6, "22.53");
    let executed = play.command(first, &effect).await?;
    play.stage.check("an answer of its own, so replayed", &executed.replayed, &false)?;
    play.stage.say("And again, with the same command id:")?;
    let repeated = play.command(second, &effect).await?;
    play.stage.check("replayed", &repeated.replayed, &true)?;
    play.stage.check("the event id", &repeated.events[0].id, &executed.events[0].id)?;
    play.stage.tell("replayed", "the answer is that of the first attempt; nothing more was stored")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_request_shown_is_the_one_that_is_sent() {
        let request: Value = serde_json::from_str(REQUEST).unwrap();
        assert_eq!(request, json!({ "aggregateId": ORDER, "command": item("Coffee", "5.99", 2) }));
    }
}
