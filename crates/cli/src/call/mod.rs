//! What verbs share that call a service: who calls, what is sent, the check before it is sent, and why a call brought
//! nothing.

mod caller;
mod check;
mod payload;
mod reason;

pub(crate) use caller::CallerArguments;
pub(crate) use check::{Endpoint, Kind};
pub(crate) use payload::{Payload, PayloadArguments};
pub(crate) use reason::{Called, complaint};

use headwater_core::{CommandId, Name};

/// A name of the protocol, as clap reads it.
pub(crate) fn name(text: &str) -> Result<Name, String> {
    Name::new(text.to_owned()).map_err(|error| error.to_string())
}

/// A command id, as clap reads it.
pub(crate) fn command_id(text: &str) -> Result<CommandId, String> {
    CommandId::new(text).map_err(|error| error.to_string())
}
