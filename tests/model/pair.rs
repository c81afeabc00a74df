//! Both stores, asked the same, and what they answer compared.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use headwater::store::{EventFilter, EventStore, EventStream, JetStreamStore, MemoryStore, StartFrom};
use headwater::{AggregateId, Name, RecordedEvent, Sequence};
use tokio::time::timeout;
use uuid::Uuid;

use super::caller::{Agreed, Caller, ensure};
use super::script::{AGGREGATES, NAMES, Op, Start, Subscription};

/// How long one event of a subscription may take to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The two stores, and an aggregate type that only one script uses.
pub(crate) struct Pair {
    pub(crate) model: MemoryStore,
    pub(crate) real: JetStreamStore,
    kind: Name,
}

/// The same subscription on both.
struct Readers {
    model: EventStream,
    real: EventStream,
}

impl Pair {
    pub(crate) fn new(model: MemoryStore, real: JetStreamStore) -> Self {
        let kind = Name::new(format!("k{}", Uuid::new_v4().simple())).unwrap();
        Self { model, real, kind }
    }

    fn caller(&self, number: usize) -> Caller<'_> {
        Caller::new(self, AggregateId::of(self.kind.clone(), format!("a.{number}")).unwrap())
    }

    /// One operation after the other, with readers that come and stay.
    pub(crate) async fn play(&self, ops: &[Op], subscriptions: &[(usize, Subscription)]) -> Agreed {
        let mut callers: Vec<_> = (0..AGGREGATES).map(|number| self.caller(number)).collect();
        let mut readers = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            for (_, subscription) in subscriptions.iter().filter(|(begins, _)| begins % ops.len() == at) {
                readers.push(self.subscribe(subscription, &callers).await?);
            }
            callers[op.aggregate].play(&op.what).await.map_err(|what| format!("operation {at}: {what}"))?;
        }
        for caller in &mut callers {
            caller.compare_all().await?;
        }
        for reader in &mut readers {
            reader.compare(&callers).await?;
        }
        // What comes next is next on both, so that the real store has shown nothing that the model did not.
        for caller in &mut callers {
            caller.append_one().await?;
        }
        for reader in &mut readers {
            reader.compare(&callers).await?;
        }
        Ok(())
    }

    /// A script for each aggregate, all at once.
    pub(crate) async fn play_at_once(&self, scripts: &[Vec<Op>]) -> Agreed {
        let mut callers: Vec<_> = (0..scripts.len()).map(|number| self.caller(number)).collect();
        let played = join_all(callers.iter_mut().zip(scripts).map(|(caller, ops)| async move {
            for op in ops {
                caller.play(&op.what).await?;
            }
            caller.compare_all().await
        }));
        played.await.into_iter().collect::<Agreed>()?;
        let filter = EventFilter::all().kind(self.kind.clone());
        let mut journal = self.real.subscribe(filter, StartFrom::Beginning).await.map_err(|error| error.to_string())?;
        let mut seen: BTreeMap<AggregateId, u64> = BTreeMap::new();
        let mut last = Sequence::ZERO;
        for _ in 0..callers.iter().map(|caller| caller.revision()).sum() {
            let event = next(&mut journal).await?;
            ensure(event.sequence > last, || format!("sequence {} comes after {last}", event.sequence))?;
            last = event.sequence;
            let revision = seen.entry(event.aggregate.clone()).or_default();
            *revision += 1;
            ensure(event.revision.get() == *revision, || {
                format!("{} is out of order in the journal", event.aggregate)
            })?;
        }
        Ok(())
    }

    async fn subscribe(&self, subscription: &Subscription, callers: &[Caller<'_>]) -> Result<Readers, String> {
        let mut filter = EventFilter::all().kind(self.kind.clone());
        if let Some(number) = subscription.aggregate {
            filter = filter.aggregate(callers[number].id().clone());
        }
        for name in &NAMES[..subscription.names] {
            filter = filter.event(Name::new(*name).unwrap());
        }
        let (model, real) = match subscription.from {
            Start::Beginning => (StartFrom::Beginning, StartFrom::Beginning),
            Start::Now => (StartFrom::Now, StartFrom::Now),
            Start::After(number) => {
                let (model, real) = callers[number].end();
                (StartFrom::After(model), StartFrom::After(real))
            }
        };
        let model = self.model.subscribe(filter.clone(), model).await.map_err(|error| error.to_string())?;
        let real = self.real.subscribe(filter, real).await.map_err(|error| error.to_string())?;
        Ok(Readers { model, real })
    }
}

impl Readers {
    /// Whatever the model shows now, the real store shows too.
    async fn compare(&mut self, callers: &[Caller<'_>]) -> Agreed {
        while let Some(Some(expected)) = self.model.next().now_or_never() {
            let expected = expected.map_err(|error| error.to_string())?;
            let caller = callers.iter().find(|caller| *caller.id() == expected.aggregate);
            caller.ok_or("a stranger's event")?.compare_event(&expected, &next(&mut self.real).await?)?;
        }
        Ok(())
    }
}

async fn next(events: &mut EventStream) -> Result<RecordedEvent, String> {
    let next = timeout(PATIENCE, events.next()).await.map_err(|_| "a subscription does not show an event")?;
    next.ok_or("a subscription ended")?.map_err(|error| error.to_string())
}
