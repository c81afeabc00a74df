//! Callers: each sends one request, waits for its reply, judges it, and sends the next. With as many of them as there
//! are to be calls in flight, that number never changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::{Client, HeaderMap, Message, Subject};
use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::machine;
use super::meter::Meter;
use super::reading::Reading;
use crate::Fallible;
use crate::arguments::Effort;

/// How long a call may take before it counts as lost.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// How long the servers of a cluster may take to hear of a subscription.
const HEARD_OF_WITHIN: Duration = Duration::from_secs(5);

/// After how many failed calls a run is given up.
const ENOUGH_FAILURES: u64 = 100;

/// How many failures are told in words.
const FAILURES_TOLD: usize = 3;

/// One who calls again and again.
pub(crate) trait Caller: Send + 'static {
    /// The next request.
    fn request(&mut self) -> Request;

    /// Judges the reply to it; an error says what is wrong with it.
    fn settle(&mut self, reply: &Message) -> Result<(), String>;

    /// Whether the call that was settled last is of the kind whose times are also told by themselves.
    fn is_singled_out(&self) -> bool {
        false
    }
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) subject: Subject,
    /// None to spare the programs that need none.
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) body: Bytes,
}

impl Request {
    /// As the client sends it.
    fn to_send(&self) -> async_nats::Request {
        let request = async_nats::Request::new().payload(self.body.clone()).timeout(Some(CALL_LIMIT));
        match &self.headers {
            Some(headers) => request.headers(headers.clone()),
            None => request,
        }
    }
}

/// Calls that failed.
#[derive(Debug, Default)]
struct Failures {
    count: AtomicU64,
    told: Mutex<Vec<String>>,
}

impl Failures {
    async fn add(&self, what: String) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().await;
        if told.len() < FAILURES_TOLD && !told.contains(&what) {
            told.push(what);
        }
    }

    fn enough(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= ENOUGH_FAILURES
    }

    async fn none(&self) -> Fallible<()> {
        match self.count.load(Ordering::Relaxed) {
            0 => Ok(()),
            count => Err(format!("{count} calls failed, for instance: {}", self.told.lock().await.join("; ")).into()),
        }
    }
}

/// Has every caller make `count` calls, all callers at once.
pub(crate) async fn prime<C: Caller>(client: &Client, callers: Vec<C>, count: usize) -> Fallible<Vec<C>> {
    let failures = Arc::new(Failures::default());
    let tasks = callers.into_iter().map(|mut caller| {
        let (client, failures) = (client.clone(), Arc::clone(&failures));
        tokio::spawn(async move {
            for _ in 0..count {
                let request = caller.request();
                let reply = reached(&client, request).await?;
                note(caller.settle(&reply), &failures).await;
            }
            Ok::<_, async_nats::RequestError>(caller)
        })
    });
    let callers = try_join_all(tasks.collect::<Vec<_>>()).await?.into_iter().collect::<Result<_, _>>()?;
    failures.none().await?;
    Ok(callers)
}

/// The reply to a request to a program that has just said it is ready. In a cluster the callers' server hears of its
/// subscriptions a moment later; until then it says that nobody listens, and nobody has got the request.
async fn reached(client: &Client, request: Request) -> Result<Message, async_nats::RequestError> {
    let until = Instant::now() + HEARD_OF_WITHIN;
    loop {
        match client.send_request(request.subject.clone(), request.to_send()).await {
            Err(error) if error.kind() == RequestErrorKind::NoResponders && Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            outcome => return outcome,
        }
    }
}

async fn note(settled: Result<(), String>, failures: &Failures) {
    if let Err(what) = settled {
        failures.add(what).await;
    }
}

/// Has all callers call for the time of `effort` and returns them with what was measured after the warm-up.
///
/// What counts is a call whose reply comes within the measured time.
pub(crate) async fn run<C: Caller>(
    client: &Client,
    callers: Vec<C>,
    effort: &Effort,
    meter: &Meter,
) -> Fallible<(Vec<C>, Reading)> {
    machine::until_quiet(effort.patience).await?;
    let failures = Arc::new(Failures::default());
    let begin = Instant::now() + effort.warm_up;
    let end = begin + effort.measured;
    let tasks: Vec<JoinHandle<(C, Times)>> = callers
        .into_iter()
        .map(|caller| tokio::spawn(call_until(client.clone(), caller, Arc::clone(&failures), begin, end)))
        .collect();
    tokio::time::sleep_until(begin).await;
    let first = meter.mark()?;
    tokio::time::sleep_until(end).await;
    let last = meter.mark()?;
    let mut times = Times::default();
    let mut callers = Vec::with_capacity(tasks.len());
    for (caller, own) in try_join_all(tasks).await? {
        callers.push(caller);
        times.all.extend(own.all);
        times.singled_out.extend(own.singled_out);
    }
    failures.none().await?;
    // The marks are read a moment late when all cores are busy; processor time is for what was spent between them.
    let spent = last.since(&first);
    let between = last.at() - first.at();
    if !effort.quick {
        require_punctual(between, effort.measured)?;
    }
    let reading = Reading::of(times.all, effort.measured, &spent).singled_out(times.singled_out);
    Ok((callers, reading))
}

/// How long the calls of the measured time took.
#[derive(Debug, Default)]
struct Times {
    all: Vec<Duration>,
    /// Those of the kind that is also told by itself.
    singled_out: Vec<Duration>,
}

/// Processor times would be wrong if the clock reader itself had been kept waiting.
fn require_punctual(between: Duration, measured: Duration) -> Fallible<()> {
    let late = between.abs_diff(measured);
    if late > measured / 5 + Duration::from_millis(50) {
        return Err(format!("the clock was read {late:?} late; the machine is too busy to measure on").into());
    }
    Ok(())
}

async fn call_until<C: Caller>(
    client: Client,
    mut caller: C,
    failures: Arc<Failures>,
    begin: Instant,
    end: Instant,
) -> (C, Times) {
    let mut times = Times { all: Vec::with_capacity(1 << 14), singled_out: Vec::new() };
    let mut now = Instant::now();
    while now < end && !failures.enough() {
        let took = call(&client, &mut caller, &failures).await;
        now = Instant::now();
        if let Some(took) = took.filter(|_| begin <= now && now < end) {
            times.all.push(took);
            if caller.is_singled_out() {
                times.singled_out.push(took);
            }
        }
    }
    (caller, times)
}

/// One call; how long it took, when it succeeded.
async fn call<C: Caller>(client: &Client, caller: &mut C, failures: &Failures) -> Option<Duration> {
    let request = caller.request();
    let to_send = request.to_send();
    let sent = Instant::now();
    let reply = client.send_request(request.subject, to_send).await;
    let took = sent.elapsed();
    let settled = match &reply {
        Ok(reply) => caller.settle(reply),
        Err(error) => Err(error.to_string()),
    };
    let took = settled.is_ok().then_some(took);
    note(settled, failures).await;
    took
}
