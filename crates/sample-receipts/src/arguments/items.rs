//! Items as people type them: `Coffee=5.99x2`.

use sample_receipts::domain::AddItem;

/// Reads `NAME=PRICExQUANTITY`; without a quantity it is one piece.
///
/// The name is all before the last `=`, so it may hold one itself.
pub(super) fn parse(text: &str) -> Result<AddItem, String> {
    let (name, cost) = text.rsplit_once('=').ok_or("an item is written NAME=PRICExQUANTITY, such as Coffee=5.99x2")?;
    let (price, quantity) = cost.split_once('x').unwrap_or((cost, "1"));
    Ok(AddItem {
        name: name.to_owned(),
        price: price.parse().map_err(|error| format!("the price: {error}"))?,
        quantity: quantity.parse().map_err(|error| format!("the quantity: {error}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_a_name_a_price_and_a_quantity() {
        let item = parse("Coffee=5.99x2").unwrap();
        assert_eq!((item.name.as_str(), item.price.to_string().as_str(), item.quantity), ("Coffee", "5.99", 2));
        assert_eq!(parse("Tea=2.50").unwrap().quantity, 1);
        assert_eq!(parse("a=b=1").unwrap().name, "a=b");
    }

    #[test]
    fn what_is_no_item_is_told_which_part() {
        assert!(parse("Coffee").unwrap_err().contains("NAME=PRICExQUANTITY"));
        assert!(parse("Coffee=5.999").unwrap_err().starts_with("the price: "));
        assert!(parse("Coffee=5.99x-2").unwrap_err().starts_with("the quantity: "));
    }
}
