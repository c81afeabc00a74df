//! What each stage of the edge looks at.

use std::sync::Arc;

use async_nats::HeaderMap;
use chrono::Utc;
use futures_util::future::BoxFuture;
use headwater_core::Failure;
use headwater_nats::header;
use tokio::time::Instant;

use super::request::Place;
use super::{Caller, Request, Stage};
use crate::auth::Checked;
use crate::circuit_breaker::Circuits;
use crate::endpoint::Asks;
use crate::instance::{Instance, Phase};

/// What a stage says of a request.
pub(crate) enum Passage {
    /// It goes on.
    On,
    /// It does not.
    Refused(Failure),
    /// It goes on as this caller, when that is known.
    Asking(BoxFuture<'static, Result<Arc<Caller>, Failure>>),
}

impl From<Result<(), Failure>> for Passage {
    fn from(passed: Result<(), Failure>) -> Self {
        passed.map_or_else(Self::Refused, |()| Self::On)
    }
}

impl Stage {
    /// Whether the request goes on.
    pub(super) fn pass(self, request: &mut Request) -> Passage {
        match self {
            Self::Limits => limits(request).into(),
            Self::Deadline => deadline(request).into(),
            Self::Auth => auth(request),
            Self::RateLimit => rate_limit(request).into(),
            Self::CircuitBreaker => circuit_breaker(request).into(),
            Self::Admission => admission(request).into(),
        }
    }
}

fn limits(request: &Request) -> Result<(), Failure> {
    let limits = &request.ticket.instance.accepts;
    if let Some(headers) = &request.headers {
        limits.check_headers(headers)?;
    }
    limits.check_body(&request.body)?;
    request.headers.as_ref().map_or(Ok(()), check_content_type)
}

fn auth(request: &mut Request) -> Passage {
    let Some(guard) = &request.ticket.instance.auth else { return Passage::On };
    match guard.check(request) {
        Checked::Known(caller) => {
            request.caller = Some(caller);
            Passage::On
        }
        Checked::Refused(failure) => Passage::Refused(failure),
        Checked::Asking(asking) => Passage::Asking(asking),
    }
}

fn deadline(request: &mut Request) -> Result<(), Failure> {
    let Some(headers) = &request.headers else { return Ok(()) };
    request.deadline = request.ticket.instance.deadline(headers, request.ticket.arrived)?;
    Ok(())
}

fn rate_limit(request: &Request) -> Result<(), Failure> {
    request.ticket.instance.rate_limiter.as_ref().map_or(Ok(()), |limiter| limiter.check(request))
}

fn circuit_breaker(request: &Request) -> Result<(), Failure> {
    request.ticket.instance.circuits.as_ref().map_or(Ok(()), Circuits::check)
}

fn admission(request: &mut Request) -> Result<(), Failure> {
    let instance = &request.ticket.instance;
    if instance.phase.get() == Phase::Draining {
        return Err(Failure::unavailable("draining", "this instance is shutting down"));
    }
    let endpoint = &request.ticket.endpoint;
    let (word, places) = match endpoint.asks {
        Asks::Command(_) => ("command", &instance.commands),
        Asks::Query(_) => ("query", &instance.queries),
    };
    let own = endpoint.places.as_ref().map(|own| Arc::clone(own).try_acquire_owned()).transpose();
    let own =
        own.map_err(|_| overloaded(word, "this instance has as many requests of this kind under way as it may"))?;
    let place = Arc::clone(places).try_acquire_owned();
    let place = place.map_err(|_| overloaded("instance", "this instance has as many requests under way as it may"))?;
    request.place = Some(Place { _instance: place, _endpoint: own });
    endpoint.counters.in_flight.add(1);
    Ok(())
}

/// There are too many for the limit of this name.
pub(super) fn overloaded(limit: &'static str, message: &str) -> Failure {
    Failure::unavailable("overloaded", message).detail("limit", limit)
}

impl Instance {
    /// The moment after which the answer no longer matters.
    fn deadline(&self, headers: &HeaderMap, arrived: Instant) -> Result<Instant, Failure> {
        let Some(deadline) = header::deadline(headers)? else {
            return Ok(arrived + self.limits.default_deadline.get());
        };
        match (deadline - Utc::now()).to_std() {
            Ok(left) if !left.is_zero() => Ok(arrived + left.min(self.limits.longest_deadline.get())),
            _ => Err(Failure::deadline_exceeded("the deadline had passed when the request arrived")),
        }
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(content_type) = header::get(headers, header::CONTENT_TYPE) else { return Ok(()) };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(header::APPLICATION_JSON) {
        return Ok(());
    }
    let (name, expected) = (header::CONTENT_TYPE, header::APPLICATION_JSON);
    Err(Failure::invalid_request(format!("the header `{name}` must be `{expected}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_read() {
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", value);
            check_content_type(&headers)
        };
        for good in ["application/json", "Application/JSON; charset=utf-8", " application/json "] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "text/plain", "application/xml", "application/json2", "application/cloudevents+json"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
