//! Items from a file or from standard input.

use std::io::Read as _;
use std::path::Path;

use sample_receipts::domain::AddItems;

use crate::complaint::Complaint;

/// Far above what a service takes, and far below what would hurt.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// Reads `{"items": […]}` from the file, or from standard input for `-`.
pub(super) fn read(path: &Path) -> Result<AddItems, Complaint> {
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let mut text = String::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text)),
    };
    read.map_err(|error| Complaint::new(&format!("{name} cannot be read"), &error))?;
    serde_json::from_str(&text)
        .map_err(|error| Complaint::new(&format!("{name} does not hold {{\"items\": [...]}}"), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"items": [{"name": "Tea", "price": "2.50", "quantity": 3}]}"#).unwrap();
        let items = read(file.path()).unwrap().items;
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].price.times(items[0].quantity).to_string(), "7.50");
    }

    #[test]
    fn a_file_that_holds_something_else_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"items": [{"name": "Tea", "price": 2.5, "quantity": 3}]}"#).unwrap();
        let Err(Complaint::Failed(reason)) = read(file.path()) else { panic!("a float is refused") };
        assert!(reason.starts_with(&file.path().display().to_string()), "{reason}");
        assert!(reason.contains("line 1"), "{reason}");
    }
}
