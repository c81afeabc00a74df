//! Whether a consumer can be had as it is described, before anybody is asked for it.

use std::time::Duration;

use super::{ConsumeError, ConsumerConfig};
use crate::subject;

impl ConsumerConfig {
    /// Looks for what no transport could give.
    ///
    /// # Errors
    ///
    /// [`ConsumeError::Refused`], naming the setting and what is wrong with it.
    pub fn check(&self) -> Result<(), ConsumeError> {
        self.flaw().map_or(Ok(()), |reason| Err(self.refused(reason)))
    }

    /// The refusal of this consumer.
    pub(crate) fn refused(&self, reason: impl Into<String>) -> ConsumeError {
        ConsumeError::Refused { stream: self.stream.clone(), consumer: self.durable.clone(), reason: reason.into() }
    }

    fn flaw(&self) -> Option<String> {
        name_flaw("stream", &self.stream)
            .or_else(|| name_flaw("durable", &self.durable))
            .or_else(|| self.filter_flaw())
            .or_else(|| self.wait_flaw())
    }

    fn filter_flaw(&self) -> Option<String> {
        for (place, filter) in self.filter_subjects.iter().enumerate() {
            if let Some(flaw) = subject::pattern_flaw(filter) {
                return Some(format!("filter_subjects: `{filter}` is no pattern: {flaw}"));
            }
            if let Some(other) = self.filter_subjects[..place].iter().find(|other| subject::overlaps(other, filter)) {
                return Some(format!("filter_subjects: `{other}` and `{filter}` overlap"));
            }
        }
        None
    }

    fn wait_flaw(&self) -> Option<String> {
        if self.ack_wait.is_zero() {
            return Some("ack_wait: 0 s leaves no time to handle a message".to_owned());
        }
        if self.max_ack_pending == 0 {
            return Some("max_ack_pending: with 0 nothing would be delivered".to_owned());
        }
        if self.backoff.iter().any(Duration::is_zero) {
            return Some("backoff: 0 s leaves no time to handle a message".to_owned());
        }
        let (waits, most) = (self.backoff.len(), self.max_deliver?.get());
        (waits > most as usize).then(|| format!("backoff: {waits} waits, and max_deliver is {most}"))
    }
}

/// What is wrong with the name of a stream or of a consumer.
pub(crate) fn name_flaw(setting: &str, name: &str) -> Option<String> {
    let forbidden = |found: char| found.is_whitespace() || found.is_control() || ".*>/\\".contains(found);
    match name.chars().find(|found| forbidden(*found)) {
        Some(found) => Some(format!("{setting}: {name:?} contains {found:?}, which no such name may")),
        None => name.is_empty().then(|| format!("{setting}: it is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_setting() {
        let good = || ConsumerConfig::new("ORDERS", "mailer").filter("orders.>");
        good().check().unwrap();
        let cases: [(&str, ConsumerConfig); 8] = [
            ("stream", ConsumerConfig::new("", "mailer")),
            ("durable", ConsumerConfig::new("ORDERS", "a.b")),
            ("filter_subjects", good().filter("a..b")),
            ("filter_subjects", good().filter("orders.placed")),
            ("ack_wait", ConsumerConfig { ack_wait: Duration::ZERO, ..good() }),
            ("max_ack_pending", ConsumerConfig { max_ack_pending: 0, ..good() }),
            ("backoff", ConsumerConfig { backoff: vec![Duration::ZERO], ..good() }),
            (
                "backoff",
                ConsumerConfig { backoff: vec![Duration::from_secs(1); 3], max_deliver: 2.try_into().ok(), ..good() },
            ),
        ];
        for (setting, config) in cases {
            let text = config.check().unwrap_err().to_string();
            assert!(text.contains(setting), "{text}");
        }
    }
}
