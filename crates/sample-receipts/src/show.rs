//! Receipts, events and refusals in words, for the client and the demo alike.

use headwater::Event as _;
use headwater::client::TypedEvent;
use sample_receipts::domain::{
    ItemAdded, ItemRemoved, Receipt, ReceiptEvent, ReceiptFinalized, ReceiptSummary, ReceiptVoided,
};

/// A text of somebody else's, with what could play tricks on a terminal made visible.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => plain.extend(character.escape_default()),
            false => plain.push(character),
        }
    }
    plain
}

/// A receipt as one would print it.
pub(crate) fn receipt(receipt: &Receipt) -> Vec<String> {
    let names: Vec<_> = receipt.items.iter().map(|item| plain(&item.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default().max("total".len());
    let mut lines = vec![format!("receipt {} is {}", plain(&receipt.id), receipt.status)];
    for (item, name) in receipt.items.iter().zip(&names) {
        lines.push(format!("{:>6} × {name:<width$} {:>12} {:>12}", item.quantity, item.price, item.total()));
    }
    lines.push(format!("{:>6}   {:<width$} {:>12} {:>12}", "", "total", "", receipt.total));
    lines
}

/// `open, 3 lines, total 20.18`.
pub(crate) fn standing(receipt: &Receipt) -> String {
    format!("{}, {}, total {}", receipt.status, counted(receipt.items.len() as u64, "line"), receipt.total)
}

/// The answer of the query `summary`.
pub(crate) fn summary(ReceiptSummary { status, lines, pieces, total }: &ReceiptSummary) -> String {
    format!("{status}, {}, {}, total {total}", counted(*lines, "line"), counted(*pieces, "piece"))
}

/// `1 line`, `2 lines`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// What happened, without its name.
pub(crate) fn happened(event: &ReceiptEvent) -> String {
    match event {
        ReceiptEvent::ItemAdded(ItemAdded { name, price, quantity, line_total }) => {
            format!("{quantity} × {} at {price}, {line_total} together", plain(name))
        }
        ReceiptEvent::ItemRemoved(ItemRemoved { name, refund_amount }) => {
            format!("{}, {refund_amount} taken off", plain(name))
        }
        ReceiptEvent::ReceiptFinalized(ReceiptFinalized { final_total, item_count }) => {
            format!("{}, {final_total} to pay", counted(*item_count, "line"))
        }
        ReceiptEvent::ReceiptVoided(ReceiptVoided { reason, voided_total }) => {
            format!("{voided_total} no longer counts: {}", plain(reason))
        }
    }
}

/// A recorded event: its revision, its name and what happened.
pub(crate) fn recorded(event: &TypedEvent<ReceiptEvent>) -> String {
    let what = match &event.decoded {
        Ok(events) => events.iter().map(happened).collect::<Vec<_>>().join("; "),
        Err(error) => error.to_string(),
    };
    let name = event.recorded.event.name.as_str();
    format!("{:>4}  {name:<width$}  {what}", event.recorded.revision.to_string(), width = longest_event_name())
}

fn longest_event_name() -> usize {
    ReceiptEvent::types().iter().map(|event| event.name.len()).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_play_tricks_on_a_terminal() {
        assert_eq!(plain("Café ☕"), "Café ☕");
        assert_eq!(plain("\u{1b}[2Jgone\n"), "\\u{1b}[2Jgone\\n");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([counted(0, "line"), counted(1, "line"), counted(2, "line")], ["0 lines", "1 line", "2 lines"]);
    }
}
