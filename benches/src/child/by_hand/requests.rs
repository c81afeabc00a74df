//! Requests, read and checked. Types do most of it; the rest is written out.

use std::borrow::Cow;

use sample_receipts::domain::{AddItem, AddItems, RemoveItem};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Why a request gets no result.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) number: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(number: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { number, code, message: message.into() }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid-request", message)
    }

    pub(super) fn store(message: impl std::fmt::Display) -> Self {
        Self::new(503, "unavailable", format!("the journal: {message}"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetRequest<'a> {
    #[serde(borrow)]
    pub(super) aggregate_id: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommandRequest<'a> {
    #[serde(borrow)]
    pub(super) aggregate_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) command: &'a RawValue,
    pub(super) expected_revision: Option<u64>,
    #[serde(default)]
    pub(super) r#return: Return,
    #[serde(borrow, default)]
    pub(super) metadata: Metadata<'a>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Return {
    #[default]
    Entity,
    Revision,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    pub(super) command_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) correlation_id: Option<Cow<'a, str>>,
}

/// What is asked of a receipt.
#[derive(Clone)]
pub(super) enum Command {
    AddItem(AddItem),
    AddItems(AddItems),
    RemoveItem(RemoveItem),
}

pub(super) fn get(body: &[u8]) -> Result<GetRequest<'_>, Problem> {
    let request: GetRequest<'_> = serde_json::from_slice(body).map_err(|error| Problem::invalid(error.to_string()))?;
    check_id(&request.aggregate_id)?;
    Ok(request)
}

pub(super) fn command(body: &[u8]) -> Result<CommandRequest<'_>, Problem> {
    let request: CommandRequest<'_> =
        serde_json::from_slice(body).map_err(|error| Problem::invalid(error.to_string()))?;
    check_id(&request.aggregate_id)?;
    for id in [&request.metadata.command_id, &request.metadata.correlation_id].into_iter().flatten() {
        check_id(id)?;
    }
    Ok(request)
}

/// The payload of the command called `name`.
pub(super) fn payload(name: &str, json: &RawValue) -> Result<Command, Problem> {
    fn read<'a, C: Deserialize<'a>>(json: &'a RawValue) -> Result<C, Problem> {
        serde_json::from_str(json.get())
            .map_err(|error| Problem::new(400, "validation-failed", format!("the payload: {error}")))
    }
    let command = match name {
        "add-item" => Command::AddItem(read(json)?),
        "add-items" => Command::AddItems(read(json)?),
        "remove-item" => Command::RemoveItem(read(json)?),
        _ => return Err(Problem::invalid("there is no such command")),
    };
    let good = match &command {
        Command::AddItem(item) => item_is_good(item),
        Command::AddItems(AddItems { items }) => (1..=500).contains(&items.len()) && items.iter().all(item_is_good),
        Command::RemoveItem(RemoveItem { name }) => name_is_good(name),
    };
    if good {
        Ok(command)
    } else {
        Err(Problem::new(400, "validation-failed", "names have 1 to 200 characters, quantities are 1 to 10 000"))
    }
}

fn item_is_good(item: &AddItem) -> bool {
    name_is_good(&item.name) && (1..=10_000).contains(&item.quantity)
}

fn name_is_good(name: &str) -> bool {
    !name.is_empty() && (name.len() <= 200 || name.chars().count() <= 200)
}

fn check_id(id: &str) -> Result<(), Problem> {
    if id.is_empty() || id.len() > 128 || id.chars().any(char::is_control) {
        return Err(Problem::invalid("an id has 1 to 128 bytes and no control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, json: &str) -> Result<(), String> {
        let json = RawValue::from_string(json.to_owned()).unwrap();
        payload(name, &json).map(drop).map_err(|problem| problem.code.to_owned())
    }

    #[test]
    fn what_the_schemas_refuse_is_refused_here_too() {
        assert_eq!(read("add-item", r#"{"name":"Tea","price":"1.50","quantity":1}"#), Ok(()));
        for bad in [
            r#"{"name":"","price":"1.50","quantity":1}"#,
            r#"{"name":"Tea","price":"1.505","quantity":1}"#,
            r#"{"name":"Tea","price":1.5,"quantity":1}"#,
            r#"{"name":"Tea","price":"1.50","quantity":0}"#,
            r#"{"name":"Tea","price":"1.50","quantity":10001}"#,
            r#"{"name":"Tea","price":"1.50","quantity":1,"colour":"green"}"#,
            r#"{"name":"Tea","price":"1.50"}"#,
        ] {
            assert_eq!(read("add-item", bad), Err("validation-failed".to_owned()), "{bad}");
        }
        assert_eq!(read("add-items", r#"{"items":[]}"#), Err("validation-failed".to_owned()));
        assert_eq!(read("drop-table", "{}"), Err("invalid-request".to_owned()));
    }

    #[test]
    fn a_bad_id_is_refused() {
        for bad in [r#"{"aggregateId":""}"#, r#"{"aggregateId":"a\nb"}"#, r#"{"aggregateId":7}"#, "{", "{}"] {
            assert!(get(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(get(br#"{"aggregateId":"order-1"}"#).is_ok());
    }
}
