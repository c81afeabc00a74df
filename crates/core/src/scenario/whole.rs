//! Whether an event survives the journal and a rejection the wire: the checks a test gets for free.

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::difference::Line;
use crate::schema::{PayloadValidator, schema_from};
use crate::{Event, Rejection};

/// Whether `event` can be stored and comes out again as it went in.
pub(super) fn fits_the_journal<E: Event>(event: &E) -> Result<(), String> {
    let listed = E::types().into_iter().find(|listed| listed.name == event.name());
    let schema = listed.ok_or("its name is not among the aggregate's events")?.schema;
    let data = event.encode().map_err(|error| format!("its data cannot be written: {error}"))?;
    let json = serde_json::from_slice(&data).map_err(|error| format!("its data is not JSON: {error}"))?;
    fits(schema, event.name(), &json)?;
    let back = E::decode(event.name(), &data).map_err(|error| format!("it cannot be read back: {error}"))?;
    same(&Line::event(event), &Line::event(&back))
}

/// Whether `rejection` can be told to a caller and is understood there.
pub(super) fn fits_the_wire<R: Rejection>(rejection: &R) -> Result<(), String> {
    let listed = R::types().into_iter().find(|listed| listed.name == rejection.name());
    let schema = listed.ok_or("its name is not among the aggregate's rejections")?.schema;
    let members = rejection.members();
    fits(schema, rejection.name(), &Value::Object(members.clone()))?;
    let back = R::from_parts(rejection.name(), &members).ok_or("it cannot be read back")?;
    same(&Line::rejection(rejection), &Line::rejection(&back))
}

fn fits(schema: fn(&mut SchemaGenerator) -> Schema, name: &str, data: &Value) -> Result<(), String> {
    let validator = PayloadValidator::new(name, &schema_from(schema)).map_err(|error| error.to_string())?;
    validator.check(data).map_err(|violations| {
        let violations: Vec<_> =
            violations.iter().map(|violation| format!("{} {}", violation.path, violation.message)).collect();
        format!("its data breaks its own schema: {}: {data}", violations.join("; "))
    })
}

fn same(written: &Line, read: &Line) -> Result<(), String> {
    if written == read { Ok(()) } else { Err(format!("it is read back as another one\n  - {written}\n  + {read}")) }
}
