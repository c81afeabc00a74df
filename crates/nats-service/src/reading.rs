//! The tasks that read subscriptions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::instance::Instance;
use crate::requests::Requests;

/// How long a client may take to pass on that a subscription is left.
const PASSED_ON: Duration = Duration::from_millis(500);

/// Takes requests in until their subscription ends, and leaves it when told to.
pub(crate) async fn read_requests(instance: Arc<Instance>, mut requests: Requests, leave: CancellationToken) {
    let mut told = std::pin::pin!(leave.cancelled());
    let share = requests.share();
    let take = |message: Message| {
        let reply = message.reply.clone();
        if !guarded(&instance, || instance.take(message, share)) {
            guarded(&instance, || instance.apologise(reply.as_ref()));
        }
    };
    loop {
        tokio::select! {
            biased;
            message = requests.next() => match message {
                Some(message) => take(message),
                None => return,
            },
            () = &mut told => return requests.leave(take).await,
        }
    }
}

/// Answers questions about the instance until told to leave.
pub(crate) async fn read_questions(
    instance: Arc<Instance>,
    mut questions: SelectAll<Subscriber>,
    leave: CancellationToken,
) {
    let mut told = std::pin::pin!(leave.cancelled());
    let mut leaving = false;
    loop {
        tokio::select! {
            biased;
            message = questions.next() => match message {
                Some(message) => _ = guarded(&instance, || instance.take_question(&message)),
                None => return,
            },
            () = &mut told, if !leaving => {
                leaving = true;
                for subscriber in questions.iter_mut() {
                    // A client that is gone has ended its subscriptions already.
                    let _ = timeout(PASSED_ON, subscriber.drain()).await;
                }
            }
        }
    }
}

/// Whatever happens with one message must not keep the next from being taken in. Says whether nothing happened.
fn guarded(instance: &Instance, take: impl FnOnce()) -> bool {
    let well = catch_unwind(AssertUnwindSafe(take)).is_ok();
    if !well {
        tracing::error!(service = %instance.name(), instance = instance.id, "taking a message in panicked");
    }
    well
}
