//! Requests and replies.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use super::trial::{Trial, soon};
use crate::exchange::{Request, RequestError, Requests};
use crate::message::Message;

impl Trial {
    async fn listen(&self, rest: &str, group: Option<&str>) -> Requests {
        let listening = self.transport.listen(self.subject(rest), group.map(str::to_owned)).await;
        listening.expect("it can be listened to")
    }

    async fn tell(&self, rest: &str) {
        self.transport.tell(self.message(rest, rest)).await.expect("it can be sent");
    }
}

async fn next(requests: &mut Requests) -> Request {
    let request = timeout(Duration::from_secs(20), requests.next()).await;
    request.expect("something was to come").expect("a listener goes on")
}

async fn expect_nothing(requests: &mut Requests) {
    let came = timeout(Duration::from_millis(200), requests.next()).await;
    assert!(came.is_err(), "nothing was to come, not: {came:?}");
}

pub(super) async fn a_request_is_answered(trial: Trial) {
    let mut requests = trial.listen("price.*", None).await;
    let answering = tokio::spawn(async move {
        let Request { message, reply } = next(&mut requests).await;
        let answer = Message::new("", [&message.body[..], b"!"].concat())
            .header("Seen", message.headers.get("Trace").unwrap_or("no"));
        reply.expect("somebody waits").send(answer).await.expect("it can be sent");
        message.subject
    });
    let request = trial.message("price.7", "how much").header("Trace", "t1");
    let answer = trial.transport.request(request, soon()).await.expect("it is answered");
    assert_eq!((&answer.body[..], answer.headers.get("Seen")), (&b"how much!"[..], Some("t1")));
    assert_eq!(answering.await.expect("it does not panic"), trial.subject("price.7"));
}

pub(super) async fn a_request_that_nobody_listens_to_is_told(trial: Trial) {
    match trial.transport.request(trial.message("price", ""), soon()).await {
        Err(RequestError::NobodyListens { subject }) => assert_eq!(subject, trial.subject("price")),
        other => panic!("nobody listens, and that is to be told, not: {other:?}"),
    }
}

pub(super) async fn a_request_that_nobody_answers_ends_at_its_deadline(trial: Trial) {
    let mut requests = trial.listen("price", None).await;
    let begin = Instant::now();
    let limit = Duration::from_millis(300);
    let answer = trial.transport.request(trial.message("price", ""), begin + limit).await;
    assert!(matches!(answer, Err(RequestError::TimedOut { .. })), "{answer:?}");
    assert!(begin.elapsed() >= limit);
    // It was delivered all the same, and a reply that comes too late harms nobody.
    let reply = next(&mut requests).await.reply.expect("somebody waited");
    reply.send(Message::new("", "late")).await.expect("it can be sent");
}

pub(super) async fn listeners_of_one_group_share_the_messages(trial: Trial) {
    let (mut one, mut other) =
        (trial.listen("task", Some("workers")).await, trial.listen("task", Some("workers")).await);
    let mut bystander = trial.listen("task", Some("others")).await;
    for _ in 0..40 {
        trial.tell("task").await;
    }
    for _ in 0..40 {
        next(&mut bystander).await;
    }
    let mut of_each = [0, 0];
    while of_each[0] + of_each[1] < 40 {
        tokio::select! {
            _ = next(&mut one) => of_each[0] += 1,
            _ = next(&mut other) => of_each[1] += 1,
        }
    }
    assert!(of_each.iter().all(|count| *count > 0), "one got nothing: {of_each:?}");
    expect_nothing(&mut one).await;
    expect_nothing(&mut other).await;
}

pub(super) async fn listeners_without_a_group_get_every_message(trial: Trial) {
    let (mut one, mut other) = (trial.listen("news.>", None).await, trial.listen("news.*", None).await);
    for subject in ["news.a", "news.b", "news.a.b"] {
        trial.tell(subject).await;
    }
    for subject in ["news.a", "news.b", "news.a.b"] {
        assert_eq!(next(&mut one).await.message.subject, trial.subject(subject));
    }
    for subject in ["news.a", "news.b"] {
        assert_eq!(next(&mut other).await.message.subject, trial.subject(subject));
    }
    expect_nothing(&mut other).await;
}

pub(super) async fn a_message_that_is_told_reaches_those_who_listen(trial: Trial) {
    let mut listener = trial.listen("news", None).await;
    let told = trial.message("news", "rain").header("From", "here");
    trial.transport.tell(told.clone()).await.expect("it can be sent");
    let request = next(&mut listener).await;
    assert_eq!(request.message, told);
    assert!(request.reply.is_none(), "nobody waits for a reply");
    // Without listeners it is gone, and that is no error.
    drop(listener);
    trial.tell("news").await;
}

pub(super) async fn a_message_that_cannot_travel_is_refused(trial: Trial) {
    let mut listener = trial.listen("news", None).await;
    for message in [
        trial.message("news", "x").header("A", "x\ry"),
        trial.message("news", "x").header("A", "x\ny"),
        Message::new("a b", "x"),
        Message::new(trial.subject("*"), "x"),
        Message::new(trial.subject("news"), vec![0; 16 * 1024 * 1024]),
    ] {
        let told = trial.transport.tell(message.clone()).await;
        assert!(matches!(told, Err(RequestError::Refused { .. })), "{told:?}");
        let asked = trial.transport.request(message, soon()).await;
        assert!(matches!(asked, Err(RequestError::Refused { .. })), "{asked:?}");
    }
    trial.tell("news").await;
    assert_eq!(&next(&mut listener).await.message.body[..], b"news");
    assert!(trial.transport.listen("a..b".to_owned(), None).await.is_err());
    assert!(trial.transport.listen(trial.subject("news"), Some("a b".to_owned())).await.is_err());
}

pub(super) async fn who_leaves_gets_what_was_on_its_way_and_then_the_end(trial: Trial) {
    let (mut leaving, mut staying) = (trial.listen("task", Some("workers")).await, trial.listen("news", None).await);
    for _ in 0..100 {
        trial.tell("task").await;
    }
    next(&mut leaving).await;
    leaving.leave();
    leaving.leave();
    for number in 1..100 {
        let next = timeout(Duration::from_secs(20), leaving.next()).await;
        let request = next.expect("something was to come");
        assert!(request.is_some(), "{number} were on their way and not more");
    }
    let end = timeout(Duration::from_secs(20), leaving.next()).await;
    assert!(end.expect("it was to end").is_none());
    let limit = Instant::now() + Duration::from_secs(5);
    let asked = trial.transport.request(trial.message("task", ""), limit).await;
    assert!(matches!(asked, Err(RequestError::NobodyListens { .. })), "{asked:?}");
    trial.tell("news").await;
    assert_eq!(&next(&mut staying).await.message.body[..], b"news");
}

pub(super) async fn who_stops_listening_is_gone(trial: Trial) {
    let listener = trial.listen("price", None).await;
    drop(listener);
    let deadline = soon();
    loop {
        let limit = Instant::now() + Duration::from_millis(200);
        match trial.transport.request(trial.message("price", ""), limit).await {
            Err(RequestError::NobodyListens { .. }) => return,
            other => assert!(Instant::now() < deadline, "somebody still listens: {other:?}"),
        }
    }
}
