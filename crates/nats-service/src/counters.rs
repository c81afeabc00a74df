//! What an endpoint has done, in numbers that are counted without a lock.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use headwater_core::{Failure, FailureCode};
pub(crate) use headwater_nats::count::Count;
use headwater_nats::discovery::EndpointStats;
use serde_json::{Map, Value, json};

use crate::answer_times::AnswerTimes;
use crate::endpoint::Endpoint;

/// What one endpoint has done.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: Count,
    errors: Count,
    /// Nanoseconds.
    time: Count,
    pub(crate) in_flight: Count,
    /// Turned away: too many requests, or draining.
    shed: Count,
    /// Requests whose reply subject is not one for replies.
    refused_reply: Count,
    /// Requests that came with no reply subject.
    no_reply: Count,
    /// Answers by code, in the order of `FailureCode::ALL`; the last place is for codes that are not in it.
    codes: [Count; FailureCode::ALL.len() + 1],
    last_error: Mutex<String>,
    /// Of what was not turned away.
    times: AnswerTimes,
}

/// Why a request gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswerable {
    /// It names no reply subject.
    NoReply,
    /// Its reply subject is not one for replies.
    RefusedReply,
}

impl Counters {
    pub(crate) fn succeeded(&self, took: Duration) {
        self.answered(took);
        self.times.note(took);
    }

    /// Counts an answer that tells of a failure. A request that was turned away because there were too many, or because the
    /// instance is on its way out, counts by its code and is no error, so that errors stay a sign of health.
    pub(crate) fn failed(&self, failure: &Failure, took: Duration) {
        self.answered(took);
        self.codes[place(&failure.code)].add(1);
        if is_shed(failure) {
            self.shed.add(1);
            return;
        }
        self.times.note(took);
        if failure.code.number() >= 500 {
            self.errors.add(1);
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = last_error(failure);
        }
    }

    pub(crate) fn unanswerable(&self, why: Unanswerable) {
        match why {
            Unanswerable::NoReply => self.no_reply.add(1),
            Unanswerable::RefusedReply => self.refused_reply.add(1),
        }
    }

    /// Requests that were turned away: too many, or draining.
    pub(crate) fn shed(&self) -> u64 {
        self.shed.get()
    }

    /// Requests that were answered with this failure.
    pub(crate) fn answered_with(&self, code: &FailureCode) -> u64 {
        self.codes[place(code)].get()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Requests that got no answer.
    pub(crate) fn unanswered(&self) -> u64 {
        self.refused_reply.get() + self.no_reply.get()
    }

    fn answered(&self, took: Duration) {
        self.requests.add(1);
        self.time.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn reset(&self) {
        for count in [&self.requests, &self.errors, &self.time, &self.shed, &self.refused_reply, &self.no_reply]
            .into_iter()
            .chain(&self.codes)
        {
            count.reset();
        }
        self.times.reset();
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts by code that are not zero, and what else this service adds to an endpoint's statistics.
    pub(crate) fn data(&self) -> Value {
        let mut codes = Map::new();
        let failures: u64 = self.codes.iter().map(Count::get).sum();
        codes.insert("ok".to_owned(), self.requests.get().saturating_sub(failures).into());
        let names = FailureCode::ALL.iter().map(FailureCode::as_str).chain(["other"]);
        for (name, count) in names.zip(&self.codes) {
            if count.get() > 0 {
                codes.insert(name.to_owned(), count.get().into());
            }
        }
        json!({
            "codes": codes,
            "in_flight": self.in_flight.get(),
            "answer_micros": self.times.percentiles(),
            "shed": self.shed.get(),
            "refused_reply": self.refused_reply.get(),
            "no_reply": self.no_reply.get(),
        })
    }
}

impl Endpoint {
    /// What discovery says the endpoint has done.
    pub(crate) fn stats(&self) -> EndpointStats {
        let counters = &self.counters;
        let (requests, time) = (counters.requests.get(), counters.time.get());
        EndpointStats {
            name: self.name.clone(),
            subject: self.subject.clone(),
            queue_group: self.queue_group.clone().unwrap_or_default(),
            num_requests: requests,
            num_errors: counters.errors.get(),
            last_error: counters.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            processing_time: time,
            average_processing_time: time.checked_div(requests).unwrap_or_default(),
            data: Some(counters.data()),
        }
    }
}

fn is_shed(failure: &Failure) -> bool {
    match failure.code {
        FailureCode::RateLimited => true,
        FailureCode::Unavailable => matches!(failure.reason(), Some("overloaded" | "draining")),
        _ => false,
    }
}

fn place(code: &FailureCode) -> usize {
    FailureCode::ALL.iter().position(|known| known == code).unwrap_or(FailureCode::ALL.len())
}

/// `{number}:{code}` and the reason where there is one. Messages may name an aggregate, and anyone may ask for statistics.
fn last_error(failure: &Failure) -> String {
    let (number, code) = (failure.code.number(), &failure.code);
    match failure.reason().filter(|reason| headwater_core::is_name(reason)) {
        Some(reason) => format!("{number}:{code} ({reason})"),
        None => format!("{number}:{code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_nanos(10);

    #[test]
    fn every_code_has_a_place_of_its_own() {
        let counters = Counters::default();
        for code in FailureCode::ALL {
            counters.failed(&Failure::new(code, "x"), TOOK);
        }
        counters.succeeded(TOOK);
        counters.failed(&Failure::new(FailureCode::from("teapot"), "x"), TOOK);
        let codes = counters.data()["codes"].clone();
        assert_eq!(codes.as_object().unwrap().len(), FailureCode::ALL.len() + 2);
        assert!(codes.as_object().unwrap().values().all(|count| count == 1), "{codes}");
    }

    #[test]
    fn only_5xx_are_errors_and_shed_requests_are_not() {
        let counters = Counters::default();
        counters.failed(&Failure::not_found("order-1 is secret"), TOOK);
        counters.failed(&Failure::unavailable("overloaded", "x"), TOOK);
        assert_eq!((counters.errors.get(), counters.shed.get()), (0, 1));
        counters.failed(&Failure::internal("order-1 is secret").detail("reason", "history-broken"), TOOK);
        assert_eq!(counters.errors.get(), 1);
        assert_eq!(*counters.last_error.lock().unwrap(), "500:internal (history-broken)");
        counters.reset();
        assert_eq!(counters.data()["codes"], json!({ "ok": 0 }));
        assert_eq!(*counters.last_error.lock().unwrap(), "");
    }
}
