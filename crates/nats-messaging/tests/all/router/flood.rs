//! More requests than a router answers: what it holds stays bounded, and what has arrived when it stops is answered.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all, ready};
use futures_util::{StreamExt, stream};
use headwater_nats_messaging::consume::{Consume, ConsumeError, ConsumerConfig, Subscription};
use headwater_nats_messaging::exchange::{self, Exchange, ListenError, Request, RequestError, Requests};
use headwater_nats_messaging::memory::MemoryBroker;
use headwater_nats_messaging::message::Message;
use headwater_nats_messaging::router::{self, Reply, Router, Shutdown};
use tokio::time::Instant;

use super::memory;
use crate::support::PATIENCE;

/// Brings so many requests at once, and takes no reply.
#[derive(Debug)]
struct Flood {
    beneath: MemoryBroker,
    requests: usize,
    /// How many replies wait to be taken, and how many have come that way.
    waiting: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Stuck(Arc<AtomicUsize>);

impl exchange::Reply for Stuck {
    fn send(self: Box<Self>, _: Message) -> BoxFuture<'static, Result<(), RequestError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().boxed()
    }
}

impl Exchange for Flood {
    fn request(&self, message: Message, deadline: Instant) -> BoxFuture<'_, Result<Message, RequestError>> {
        self.beneath.request(message, deadline)
    }

    fn tell(&self, message: Message) -> BoxFuture<'_, Result<(), RequestError>> {
        self.beneath.tell(message)
    }

    fn listen(&self, subject: String, _: Option<String>) -> BoxFuture<'_, Result<Requests, ListenError>> {
        let waiting = self.waiting.clone();
        let request = move |_| {
            let reply: Box<dyn exchange::Reply> = Box::new(Stuck(waiting.clone()));
            Request { message: Message::new(subject.clone(), ""), reply: Some(reply) }
        };
        let requests = stream::iter(0..self.requests).map(request).chain(stream::pending());
        ready(Ok(Requests::new(requests, || {}))).boxed()
    }
}

impl Consume for Flood {
    fn open(&self, config: ConsumerConfig) -> BoxFuture<'_, Result<Subscription, ConsumeError>> {
        self.beneath.open(config)
    }

    fn stream_of(&self, subject: String) -> BoxFuture<'_, Result<Option<String>, ConsumeError>> {
        self.beneath.stream_of(subject)
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_that_nobody_takes_are_bounded() {
    let waiting = Arc::new(AtomicUsize::new(0));
    let flood = Flood { beneath: memory(), requests: 5_000, waiting: waiting.clone() };
    let router: Router =
        Router::new().service("flooded").on_message("flood", || async { Reply(7) }).requests_in_flight(NonZeroU32::MIN);
    let running = router.start(flood).await.unwrap();
    // Long enough for all requests, and too short for a reply to be given up.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(waiting.load(Ordering::SeqCst), 1_024 + 1, "those that are refused, and the one that is answered");
    running.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn requests_that_have_arrived_when_a_router_stops_are_all_answered() {
    let broker = memory();
    let router: Router = Router::new()
        .service("leaving")
        .on_message("leave", || async { Reply(7) })
        .requests_in_flight(NonZeroU32::new(2_000).unwrap());
    let running = router.start(broker.clone()).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut asking = Box::pin(join_all((0..1_000).map(|_| router::ask::<_, u64>(&broker, "leave", &(), deadline))));
    // The router's task has not run since they arrived.
    assert!(futures_util::poll!(asking.as_mut()).is_pending());
    let (answers, shutdown) = tokio::join!(asking, running.shutdown(PATIENCE));
    assert_eq!(shutdown, Shutdown::Finished);
    let answered = answers.iter().filter(|answer| matches!(answer, Ok(7))).count();
    assert_eq!(answered, answers.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_leaves_its_group_under_load_leaves_no_request_unanswered() {
    let (_server, jetstream) = super::server().await;
    let start = || {
        let router: Router = Router::new().service("rolling").on_message("roll", || async { Reply(7) });
        router.start(jetstream.clone())
    };
    let staying = start().await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let askers = (0..8).map(|_| {
        let (jetstream, stop) = (jetstream.clone(), stop.clone());
        tokio::spawn(async move {
            let mut asked = 0;
            while !stop.load(Ordering::SeqCst) {
                let answer: u64 = router::ask(&jetstream, "roll", &(), Instant::now() + PATIENCE).await.unwrap();
                assert_eq!(answer, 7);
                asked += 1;
            }
            asked
        })
    });
    let askers: Vec<_> = askers.collect();
    for _ in 0..5 {
        let leaving = start().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(leaving.shutdown(PATIENCE).await, Shutdown::Finished);
    }
    stop.store(true, Ordering::SeqCst);
    for asked in join_all(askers).await {
        assert!(asked.unwrap() > 0);
    }
    staying.shutdown(PATIENCE).await;
}
