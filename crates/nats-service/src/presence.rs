//! The task that owns an instance: it subscribes, subscribes again when the client was replaced, and sees the instance out.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::OptionFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::instance::{Instance, Phase};
use crate::probes::Open;
use crate::reading::{read_questions, read_requests};
use crate::requests::Requests;
use crate::running::{DrainReport, Stopped};
use crate::subscriptions::Subscriptions;

/// How long the server may take to confirm that it sends nothing more.
const LEAVE_WITHIN: Duration = Duration::from_secs(4);

/// How long callers who are given up may take to be told so.
const FAREWELL: Duration = Duration::from_secs(2);

/// The pause before subscribing again when a subscription ended and its client lives.
const PAUSE: Duration = Duration::from_millis(250);

/// How long subscribing may take.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct Presence {
    instance: Arc<Instance>,
    drain_timeout: Duration,
    /// Told to stop taking requests.
    leave: CancellationToken,
    /// Told to let everything go.
    abort: CancellationToken,
    stopped: watch::Sender<Option<Stopped>>,
    /// The generation of the client whose subscriptions are read now.
    generation: u64,
    requests: Readers,
    questions: Readers,
    /// Whether requests are taken, or the queue group was left because the instance is not ready.
    listening: bool,
    probes: Option<Open>,
}

/// The connection was closed, or has died and cannot be replaced.
struct ConnectionGone;

/// Tasks that read subscriptions; each returns its round.
struct Readers {
    tasks: JoinSet<u64>,
    /// Grows whenever those that read are told to leave. One of an earlier round has ended because it was told to.
    round: u64,
    /// Tells those of the round to leave.
    leave: CancellationToken,
}

impl Readers {
    fn new() -> Self {
        Self { tasks: JoinSet::new(), round: 0, leave: CancellationToken::new() }
    }

    fn spawn(&mut self, reading: impl Future<Output = ()> + Send + 'static) {
        let round = self.round;
        self.tasks.spawn(reading.map(move |()| round));
    }

    /// The next reader that ends although nobody told it to.
    async fn deserted(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if ended.ok().is_none_or(|round| round == self.round) {
                return;
            }
        }
        std::future::pending().await
    }

    /// Tells the readers to leave; later ones start afresh.
    fn dismiss(&mut self) {
        self.round += 1;
        std::mem::take(&mut self.leave).cancel();
    }

    /// Waits until all have ended or `limit` has come. Says whether they have.
    async fn ended(&mut self, limit: Instant) -> bool {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        timeout_at(limit, all).await.is_ok()
    }
}

/// What happened while the instance was there.
enum News {
    /// It is to leave.
    Leave,
    /// The client was replaced.
    Replaced,
    /// The connection dropped; the client is connecting again.
    Dropped,
    /// The connection works again.
    Back,
    /// A subscription ended by itself, or its reader died.
    Ended,
    /// The instance is no longer ready and is to leave its queue group, or is ready again and is to join it.
    Turned,
}

impl Presence {
    pub(crate) fn new(
        instance: Arc<Instance>,
        drain_timeout: Duration,
        [leave, abort]: [CancellationToken; 2],
        stopped: watch::Sender<Option<Stopped>>,
        probes: Option<Open>,
    ) -> Self {
        let (requests, questions) = (Readers::new(), Readers::new());
        Self {
            instance,
            drain_timeout,
            leave,
            abort,
            stopped,
            generation: 0,
            requests,
            questions,
            listening: true,
            probes,
        }
    }

    /// Runs until the instance has left, or was dropped. `first` are the subscriptions of `generation`.
    pub(crate) async fn run(mut self, generation: u64, first: Subscriptions) {
        let abort = self.abort.clone();
        let end = tokio::select! {
            biased;
            () = abort.cancelled() => Stopped::Dropped,
            end = self.stay_and_leave(generation, first) => end,
        };
        // Whoever still waits for an answer is told that there will be none.
        self.instance.give_up.cancel();
        self.instance.phase.reach(Phase::Draining);
        if let Some(probes) = self.probes.take() {
            probes.close().await;
        }
        if let Some(auth) = &self.instance.auth {
            auth.stop().await;
        }
        self.stopped.send_replace(Some(end));
    }

    async fn stay_and_leave(&mut self, generation: u64, first: Subscriptions) -> Stopped {
        self.read(generation, first);
        if self.stay().await.is_err() {
            return Stopped::ConnectionLost;
        }
        Stopped::Drained(self.see_out().await)
    }

    fn read(&mut self, generation: u64, subscriptions: Subscriptions) {
        self.generation = generation;
        let Subscriptions { requests, questions } = subscriptions;
        self.read_requests(requests);
        let reading = read_questions(Arc::clone(&self.instance), questions, self.questions.leave.clone());
        self.questions.spawn(reading);
    }

    fn read_requests(&mut self, requests: Vec<Requests>) {
        for requests in requests {
            let reading = read_requests(Arc::clone(&self.instance), requests, self.requests.leave.clone());
            self.requests.spawn(reading);
        }
    }

    /// Keeps the instance subscribed until it is told to leave. An error when its connection is gone for good.
    async fn stay(&mut self) -> Result<(), ConnectionGone> {
        // Since when the connection does not work, until it does again.
        let mut broken = None;
        loop {
            match self.news(broken.is_none()).await {
                News::Leave => return Ok(()),
                News::Dropped => {
                    broken.get_or_insert_with(Instant::now);
                    self.start_counting_anew().await?;
                }
                News::Replaced => {
                    broken.get_or_insert_with(Instant::now);
                    self.renew().await?;
                }
                News::Back => self.instance.answer_again(broken.take().unwrap_or_else(Instant::now)),
                News::Turned if self.listening => self.step_back(),
                News::Turned => self.step_up().await?,
                News::Ended => {
                    broken.get_or_insert_with(Instant::now);
                    self.instance.connection.report_dead(self.generation);
                    self.replaced_within(PAUSE).await;
                    self.renew().await?;
                }
            }
        }
    }

    async fn news(&mut self, up: bool) -> News {
        let mut generations = self.instance.connection.generations();
        let turned = self.probes.as_ref().map(|probes| probes.turned(self.listening));
        tokio::select! {
            biased;
            () = self.leave.cancelled() => News::Leave,
            // The sender lives as long as the connection, which the instance holds.
            Ok(_) = generations.wait_for(|generation| *generation != self.generation) => News::Replaced,
            () = self.requests.deserted() => News::Ended,
            () = self.questions.deserted() => News::Ended,
            _ = self.instance.connection.disconnected(), if up => News::Dropped,
            _ = self.instance.connection.ready(Duration::MAX), if !up => News::Back,
            Some(()) = OptionFuture::from(turned) => News::Turned,
        }
    }

    /// Leaves the queue group: others of it get the requests from now on. What has come is served, and questions about
    /// the instance are answered as before.
    fn step_back(&mut self) {
        tracing::warn!(service = %self.instance.name(), instance = self.instance.id, "not ready: leaving the queue group");
        self.listening = false;
        self.requests.dismiss();
    }

    /// Joins the queue group again.
    async fn step_up(&mut self) -> Result<(), ConnectionGone> {
        tracing::info!(service = %self.instance.name(), instance = self.instance.id, "ready again: joining the queue group");
        self.listening = true;
        let link = self.instance.link();
        match timeout(SUBSCRIBE_WITHIN, Subscriptions::requests(&self.instance, &link.client)).await {
            Ok(Ok(requests)) => {
                self.read_requests(requests);
                Ok(())
            }
            _ => self.renew().await,
        }
    }

    /// Server and client must count a subscription's messages alike for leaving it without loss, and a server counts anew on
    /// every connection. Without a queue group an old and a new subscription could both bring the same request, so there
    /// the old one stays.
    async fn start_counting_anew(&mut self) -> Result<(), ConnectionGone> {
        match &self.instance.queue_group {
            Some(_) => self.renew().await,
            None if self.instance.connection.status().is_final() => Err(ConnectionGone),
            None => Ok(()),
        }
    }

    async fn replaced_within(&self, time: Duration) {
        let mut generations = self.instance.connection.generations();
        let replaced = generations.wait_for(|generation| *generation != self.generation);
        // Whether it was or not, the next step is to subscribe on whatever client there is.
        let _ = timeout(time, replaced).await;
    }

    /// Subscribes on the connection's client of the moment; the readers of the old one read what it had delivered.
    async fn renew(&mut self) -> Result<(), ConnectionGone> {
        self.requests.dismiss();
        self.questions.dismiss();
        let (service, id) = (self.instance.name().clone(), self.instance.id.clone());
        loop {
            if self.instance.connection.status().is_final() {
                tracing::error!(%service, instance = id, "the connection is gone for good");
                return Err(ConnectionGone);
            }
            let link = self.instance.relink();
            let generation = link.generation;
            if let Ok(Ok(made)) =
                timeout(SUBSCRIBE_WITHIN, Subscriptions::make(&self.instance, &link.client, self.listening)).await
            {
                tracing::info!(%service, instance = id, generation, "subscribed again");
                self.read(generation, made);
                return Ok(());
            }
            self.generation = generation;
            self.instance.connection.report_dead(generation);
            tokio::select! {
                () = self.leave.cancelled() => return Ok(()),
                () = self.replaced_within(PAUSE) => {}
            }
        }
    }

    /// Takes no more requests, answers those that are there, and says goodbye.
    async fn see_out(&mut self) -> DrainReport {
        let instance = Arc::clone(&self.instance);
        let (begun, answered) = (Instant::now(), instance.answered.get());
        instance.phase.reach(Phase::Leaving);
        self.requests.dismiss();
        self.requests.ended(begun + LEAVE_WITHIN.min(self.drain_timeout / 2)).await;
        // From here on requests that still come are told to go elsewhere.
        instance.phase.reach(Phase::Draining);

        instance.tasks.close();
        let done = timeout_at(begun + self.drain_timeout, instance.tasks.wait()).await;
        if done.is_err() {
            instance.give_up.cancel();
            let _ = timeout(FAREWELL, instance.tasks.wait()).await;
        }
        if !self.requests.ended(begun + LEAVE_WITHIN).await {
            tracing::warn!(service = %instance.name(), instance = instance.id, "the server did not confirm the leave in time");
        }
        self.questions.dismiss();
        self.questions.ended(Instant::now() + FAREWELL).await;
        instance.questions.close();
        let _ = timeout(FAREWELL, instance.questions.wait()).await;
        let flushed = instance.connection.flush(FAREWELL).await.is_ok();
        let abandoned = instance.given_up.get() + instance.tasks.len() as u64;
        let answered = instance.answered.get().saturating_sub(answered).saturating_sub(instance.given_up.get());
        // Nobody waits for these but the next instance, so they come last and may be left undone.
        let _ = timeout(FAREWELL, instance.dispatcher.flush_snapshots()).await;
        DrainReport { answered, abandoned, flushed, took: begun.elapsed() }
    }
}
