//! What can be called, with its labels made once.

use std::sync::{Arc, PoisonError, RwLock};

use headwater_core::FailureCode;
use opentelemetry::KeyValue;

use super::names;

/// Labels of one measurement.
type LabelSet = Arc<[KeyValue]>;

/// Sets of labels, each made once and found by a word of the program's own. There are as many as there are words.
#[derive(Debug, Default)]
pub struct LabelSets(RwLock<Vec<(&'static str, LabelSet)>>);

impl LabelSets {
    /// The set for `word`, made by `make` when it is not there yet.
    #[must_use]
    pub fn of(&self, word: &'static str, make: impl FnOnce() -> Vec<KeyValue>) -> Arc<[KeyValue]> {
        let find = |sets: &[(&'static str, LabelSet)]| {
            sets.iter().find(|(known, _)| *known == word).map(|(_, set)| Arc::clone(set))
        };
        if let Some(set) = find(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return set;
        }
        let mut sets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = find(&sets) {
            return set;
        }
        let set: LabelSet = make().into();
        sets.push((word, Arc::clone(&set)));
        set
    }
}

/// Something of a service that can be called.
#[derive(Debug)]
pub struct Method {
    service: Arc<str>,
    name: Arc<str>,
    labels: LabelSets,
}

impl Method {
    /// A command or query of an aggregate type of a service.
    #[must_use]
    pub fn new(service: &str, aggregate: &str, asked: &str) -> Self {
        Self { service: service.into(), name: format!("{aggregate}/{asked}").into(), labels: LabelSets::default() }
    }

    /// What stands for everything that the program did not announce.
    #[must_use]
    pub fn other(service: &str) -> Self {
        Self { service: service.into(), name: names::OTHER.into(), labels: LabelSets::default() }
    }

    /// `{aggregate}/{command or query}`: the name of its spans.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the span of a call says of it.
    pub fn attributes(&self) -> impl Iterator<Item = KeyValue> {
        [
            KeyValue::new(names::RPC_SYSTEM_NAME, names::NATS),
            KeyValue::new(names::RPC_METHOD, Arc::clone(&self.name)),
            KeyValue::new(names::SERVICE, Arc::clone(&self.service)),
        ]
        .into_iter()
    }

    /// The labels of a call that ended with this code; `is_error` when that was nothing to be expected.
    #[must_use]
    pub fn labels(&self, code: &'static str, is_error: bool) -> Arc<[KeyValue]> {
        self.labels.of(code, || {
            let error = is_error.then(|| KeyValue::new(names::ERROR_TYPE, code));
            self.attributes().chain([KeyValue::new(names::RPC_STATUS, code)]).chain(error).collect()
        })
    }
}

/// A failure's code as a label: one of the protocol's, whatever the other end says.
#[must_use]
pub fn code(code: &FailureCode) -> &'static str {
    static ALL: [FailureCode; FailureCode::ALL.len()] = FailureCode::ALL;
    ALL.iter().find(|known| *known == code).map_or(names::OTHER, FailureCode::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_nobody_knows_is_no_label_of_its_own() {
        assert_eq!(code(&FailureCode::CommandRejected), "command-rejected");
        assert_eq!(code(&FailureCode::from("order-12345")), names::OTHER);
    }

    #[test]
    fn labels_are_made_once() {
        let method = Method::new("receipts", "receipt", "add-item");
        let first = method.labels("conflict", false);
        assert!(Arc::ptr_eq(&first, &method.labels("conflict", false)));
        let failed = method.labels("internal", true);
        let has = |labels: &[KeyValue], key: &str| labels.iter().any(|label| label.key.as_str() == key);
        assert!(has(&failed, names::ERROR_TYPE) && !has(&first, names::ERROR_TYPE));
    }
}
