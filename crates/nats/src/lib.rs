//! What both ends of the wire share.
//!
//! - [`connect`]: settings, connections that are looked after, and what can be known of them.
#![deny(missing_docs)]

pub mod connect;
