//! What an instance tells about itself that does not change while it runs.

use bytes::Bytes;
use headwater_core::{Contract, Failure};
use headwater_nats::discovery::{EndpointInfo, Identity, Info, Ping, SchemaRequest};

/// The answers that are the same every time, written once.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) identity: Identity,
    pub(crate) info: Info,
    pub(crate) contract: Contract,
    ping_body: Bytes,
    info_body: Bytes,
    contract_body: Bytes,
}

impl About {
    pub(crate) fn new(identity: Identity, description: &str, endpoints: Vec<EndpointInfo>, contract: Contract) -> Self {
        let info = Info::new(identity.clone(), description, endpoints);
        Self {
            ping_body: write(&Ping::new(identity.clone())),
            info_body: write(&info),
            contract_body: write(&contract),
            contract,
            info,
            identity,
        }
    }

    pub(crate) fn ping(&self) -> Bytes {
        self.ping_body.clone()
    }

    pub(crate) fn info(&self) -> Bytes {
        self.info_body.clone()
    }

    /// The contract, or the part of it that the request names.
    pub(crate) fn schema(&self, body: &[u8], max_reply: usize) -> Result<Bytes, Failure> {
        let pointer = SchemaRequest::read(body)?.pointer.unwrap_or_default();
        if pointer.is_empty() {
            return fitting(self.contract_body.clone(), max_reply);
        }
        let part = self.contract.part(&pointer).ok_or_else(|| {
            let pointer: String = pointer.chars().take(80).collect();
            Failure::not_found(format!("the contract has nothing at `{pointer}`"))
        })?;
        fitting(write(part), max_reply)
    }
}

fn fitting(body: Bytes, max_reply: usize) -> Result<Bytes, Failure> {
    if body.len() <= max_reply {
        return Ok(body);
    }
    let size = body.len();
    let message = format!(
        "this part of the contract has {size} bytes and at most {max_reply} may be sent; ask for less with `pointer`"
    );
    Err(Failure::payload_too_large(message).detail("limit", max_reply))
}

fn write(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).expect("texts and JSON values can always be written").into()
}
