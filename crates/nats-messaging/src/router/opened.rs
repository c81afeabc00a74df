//! A message's envelope, opened once for all handlers of the message.

use std::sync::{Arc, OnceLock};

use headwater_core::Failure;

use crate::codec::Codecs;
use crate::envelope::Received;
use crate::message::Message;

/// An envelope that is opened when the first one looks into it.
pub(super) struct Opened {
    codecs: Arc<Codecs>,
    received: OnceLock<Result<Received, Failure>>,
}

impl Opened {
    pub(super) fn new(codecs: Arc<Codecs>) -> Self {
        Self { codecs, received: OnceLock::new() }
    }

    pub(super) fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    pub(super) fn of(&self, message: &Message) -> Result<&Received, Failure> {
        self.received.get_or_init(|| open(message)).as_ref().map_err(Clone::clone)
    }
}

fn open(message: &Message) -> Result<Received, Failure> {
    Received::read(message).map_err(|error| {
        let failure = Failure::invalid_request(error.to_string());
        match error.member() {
            Some(member) => failure.detail("field", member),
            None => failure,
        }
    })
}
