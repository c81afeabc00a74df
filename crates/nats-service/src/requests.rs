//! One subscription for requests.

use async_nats::{Client, Message, Subscriber};
use headwater_nats::connect::Arrivals;

/// A subscription for requests.
pub(crate) struct Requests {
    arrivals: Arrivals,
    share: Share,
}

/// Which of the requests that a subscription brings are meant for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Those of one endpoint, which has a queue group of its own.
    One,
    /// Those of all other endpoints, and strays.
    Rest,
}

impl Requests {
    pub(crate) fn new(subscriber: Subscriber, client: &Client, share: Share) -> Self {
        Self { arrivals: Arrivals::new(subscriber, client), share }
    }

    pub(crate) fn share(&self) -> Share {
        self.share
    }

    /// The next request; none when the subscription has ended.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        self.arrivals.next().await
    }

    /// Unsubscribes. Every request that the server hands to this subscription until then is given to `take`.
    pub(crate) async fn leave(self, take: impl FnMut(Message)) {
        self.arrivals.leave(take).await;
    }
}
