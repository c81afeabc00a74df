//! Pauses between attempts.

pub(crate) use headwater_nats::backoff::Backoff;
