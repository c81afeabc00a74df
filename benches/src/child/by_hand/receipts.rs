//! Receipts in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use headwater::{Aggregate, AggregateId};
use sample_receipts::domain::{Receipt, ReceiptEvent};

use super::Program;
use super::requests::Problem;
use super::stored::MAX_PREVIOUS;

/// A receipt with its place in the journal.
pub(super) struct Kept {
    pub(super) state: Receipt,
    pub(super) revision: u64,
    /// The sequences of its events, newest first, as many as the next event may have to name.
    pub(super) recent: Vec<u64>,
}

impl Kept {
    /// A receipt before its first event.
    pub(super) fn new(id: &str) -> Result<Self, Problem> {
        let id = AggregateId::new(Receipt::TYPE, id).map_err(|error| Problem::invalid(error.to_string()))?;
        Ok(Self { state: Receipt::init(&id), revision: 0, recent: Vec::new() })
    }

    /// Where its last event is; 0 for none.
    pub(super) fn sequence(&self) -> u64 {
        self.recent.first().copied().unwrap_or(0)
    }

    /// Takes in an event stored at `sequence`.
    pub(super) fn evolve(&mut self, event: &ReceiptEvent, sequence: u64) {
        self.state.evolve(event);
        self.revision += 1;
        self.recent.truncate(MAX_PREVIOUS - 1);
        self.recent.insert(0, sequence);
    }
}

/// A receipt that one task at a time works with.
pub(super) type Shared = Arc<tokio::sync::Mutex<Kept>>;

/// The receipts in memory. There is no bound: the program is stopped before it would matter.
pub(super) struct Receipts {
    kept: Option<Mutex<HashMap<String, Shared>>>,
}

impl Receipts {
    pub(super) fn new(keep: bool) -> Self {
        Self { kept: keep.then(Mutex::default) }
    }

    fn get(&self, id: &str) -> Option<Shared> {
        self.kept.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Keeps a receipt, unless somebody was faster; the one that is kept.
    fn put(&self, id: &str, receipt: Kept) -> Shared {
        let receipt = Arc::new(tokio::sync::Mutex::new(receipt));
        let Some(kept) = &self.kept else { return receipt };
        Arc::clone(kept.lock().unwrap_or_else(PoisonError::into_inner).entry(id.to_owned()).or_insert(receipt))
    }
}

impl Program {
    /// The receipt, from memory or else from the journal.
    pub(super) async fn receipt(&self, id: &str) -> Result<Shared, Problem> {
        if let Some(receipt) = self.receipts.get(id) {
            return Ok(receipt);
        }
        let mut receipt = Kept::new(id)?;
        self.catch_up(id, &mut receipt).await?;
        Ok(self.receipts.put(id, receipt))
    }
}
