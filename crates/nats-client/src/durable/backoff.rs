//! Pauses between attempts.

pub(super) use headwater_nats::backoff::Backoff;
