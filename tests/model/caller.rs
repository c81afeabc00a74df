//! Somebody who works with one aggregate on both stores, and remembers every head and every command.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{SubsecRound, Utc};
use headwater::store::{Append, AppendError, EventStore, Freshness, Head, History, ReadOptions};
use headwater::{AggregateId, CommandId, EventId, JSON, Metadata, Name, NewEvent, RecordedEvent, Revision, Sequence};

use super::pair::Pair;
use super::script::{Known, NAMES, Sender, What};

/// What differs, in words.
pub(crate) type Agreed = Result<(), String>;

pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Agreed {
    if holds { Ok(()) } else { Err(what()) }
}

pub(crate) struct Caller<'a> {
    pair: &'a Pair,
    id: AggregateId,
    /// Heads that were given out, by the model and by the real store.
    heads: Vec<(Head, Head)>,
    commands: Vec<CommandId>,
    /// Where the events stand, in the model and in the real store.
    places: Vec<(Sequence, Sequence)>,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(pair: &'a Pair, id: AggregateId) -> Self {
        Self { pair, id, heads: vec![(Head::EMPTY, Head::EMPTY)], commands: Vec::new(), places: Vec::new() }
    }

    pub(crate) fn id(&self) -> &AggregateId {
        &self.id
    }

    pub(crate) fn revision(&self) -> u64 {
        self.places.len() as u64
    }

    /// Where the newest event stands in both.
    pub(crate) fn end(&self) -> (Sequence, Sequence) {
        self.places.last().copied().unwrap_or_default()
    }

    pub(crate) async fn play(&mut self, what: &What) -> Agreed {
        match what {
            What::Append { head, command, events, bytes } => {
                let (model, real) = match head {
                    Known::Newest => self.heads[self.heads.len() - 1].clone(),
                    Known::Earlier(back) => self.heads[self.heads.len().saturating_sub(back + 1)].clone(),
                };
                let again = match command {
                    Sender::New => None,
                    Sender::Again(back) => self.commands.iter().rev().nth(*back).cloned(),
                };
                let command = again.unwrap_or_else(|| {
                    self.commands.push(CommandId::generate());
                    self.commands[self.commands.len() - 1].clone()
                });
                self.append(model, real, self.events(&command, *events, *bytes)).await
            }
            What::Read { after, limit, leader } => {
                let mut options = ReadOptions::after(Revision::new(*after)).freshness(freshness(*leader));
                options.limit = *limit;
                self.read(options).await
            }
            What::Head { leader } => {
                let model = self.pair.model.head(&self.id, freshness(*leader)).await;
                let real = self.pair.real.head(&self.id, freshness(*leader)).await;
                let (model, real) = (model.map_err(said)?, real.map_err(said)?);
                self.compare_heads(&model, &real)?;
                self.heads.push((model, real));
                Ok(())
            }
        }
    }

    /// One more event, which every reader of this aggregate sees.
    pub(crate) async fn append_one(&mut self) -> Agreed {
        let (model, real) =
            (self.pair.model.head(&self.id, Freshness::Leader), self.pair.real.head(&self.id, Freshness::Leader));
        let (model, real) = (model.await.map_err(said)?, real.await.map_err(said)?);
        let before = self.revision();
        self.append(model, real, self.events(&CommandId::generate(), 1, 0)).await?;
        ensure(self.revision() == before + 1, || "an append behind the newest head is not stored".to_owned())
    }

    /// The whole history, and where it ends.
    pub(crate) async fn compare_all(&mut self) -> Agreed {
        self.read(ReadOptions::all().freshness(Freshness::Leader)).await?;
        self.play(&What::Head { leader: true }).await
    }

    fn events(&self, command: &CommandId, count: usize, bytes: usize) -> Vec<NewEvent> {
        let metadata = Arc::new(Metadata::new(command.clone()));
        let event = |place: usize| NewEvent {
            id: EventId::derive(command, &self.id, place),
            name: Name::new(NAMES[place % NAMES.len()]).unwrap(),
            schema_version: 1,
            time: Utc::now().trunc_subsecs(6),
            content_type: JSON.into(),
            data: Bytes::from(format!("\"{}\"", "x".repeat(bytes))),
            metadata: Arc::clone(&metadata),
        };
        (0..count).map(event).collect()
    }

    async fn append(&mut self, model_head: Head, real_head: Head, events: Vec<NewEvent>) -> Agreed {
        let asked = format!(
            "{} events of {:?} at revision {}",
            events.len(),
            events.first().map(|e| &e.metadata.command_id),
            model_head.revision()
        );
        let count = events.len();
        let append = |head, events| Append { aggregate: self.id.clone(), head, events };
        let model = self.pair.model.append(append(model_head, events.clone())).await;
        let real = self.pair.real.append(append(real_head, events)).await;
        match (model, real) {
            (Ok(model), Ok(real)) if model.duplicate == real.duplicate => {
                if !model.duplicate {
                    // The events of one append stand one right behind the other, in both.
                    let back = |head: &Head, back| Sequence::new(head.sequence().get() - back as u64);
                    self.places.extend((0..count).rev().map(|n| (back(&model.head, n), back(&real.head, n))));
                }
                self.compare_heads(&model.head, &real.head)?;
                self.heads.push((model.head, real.head));
                Ok(())
            }
            (
                Err(AppendError::Conflict { expected, actual, .. }),
                Err(AppendError::Conflict { expected: real_expected, actual: real_actual, .. }),
            ) => {
                // The real store may not know the actual revision; when it tells one, it is right.
                let same = expected == real_expected && (real_actual.is_none() || actual == real_actual);
                ensure(same, || format!("{asked}: conflict with {actual:?} and {real_actual:?}"))
            }
            (Err(AppendError::TooLarge { .. }), Err(AppendError::TooLarge { .. })) => Ok(()),
            // A head behind the end and yet after the events: the real store need not search for them.
            (Ok(model), Err(AppendError::Conflict { expected, actual: Some(actual), .. }))
                if model.duplicate && model.head.revision() <= expected && expected < actual =>
            {
                ensure(actual.get() == self.revision(), || format!("{asked}: conflict with {actual}"))
            }
            (model, real) => Err(format!("{asked}: the model says {model:?}, the real store {real:?}")),
        }
    }

    async fn read(&mut self, options: ReadOptions) -> Agreed {
        let asked = format!("{options:?}");
        let model = self.pair.model.read(&self.id, options.clone()).await.map_err(said)?;
        let real = self.pair.real.read(&self.id, options).await.map_err(said)?;
        self.compare_histories(&model, &real).map_err(|what| format!("{asked}: {what}"))?;
        self.heads.push((model.head, real.head));
        Ok(())
    }

    fn compare_histories(&self, model: &History, real: &History) -> Agreed {
        let lengths = (model.events.len(), real.events.len());
        ensure(lengths.0 == lengths.1, || format!("{lengths:?} events"))?;
        for (model, real) in model.events.iter().zip(&real.events) {
            self.compare_event(model, real)?;
        }
        self.compare_heads(&model.head, &real.head)
    }

    /// The same event, each in its place.
    pub(crate) fn compare_event(&self, model: &RecordedEvent, real: &RecordedEvent) -> Agreed {
        let place = usize::try_from(model.revision.get()).ok().and_then(|revision| self.places.get(revision - 1));
        ensure(place == Some(&(model.sequence, real.sequence)), || {
            format!("revision {} is at {} and at {}, not at {place:?}", model.revision, model.sequence, real.sequence)
        })?;
        ensure(content(model) == content(real), || format!("the model has {model:?}, the real store {real:?}"))
    }

    /// The same revision, and the same events before it.
    fn compare_heads(&self, model: &Head, real: &Head) -> Agreed {
        let until = usize::try_from(model.revision().get()).unwrap();
        let known = self.places.get(..until).unwrap_or_default().iter().rev();
        let recent = |head: &Head| head.recent().to_vec();
        let (expected_model, expected_real): (Vec<_>, Vec<_>) = known.take(recent(model).len()).copied().unzip();
        let same =
            model.revision() == real.revision() && recent(model) == expected_model && recent(real) == expected_real;
        ensure(same, || format!("the model's head is {model:?}, the real store's {real:?}"))
    }
}

/// All of it but its place in the journal.
fn content(event: &RecordedEvent) -> impl PartialEq {
    let RecordedEvent { aggregate, revision, event, .. } = event.clone();
    let NewEvent { id, name, schema_version, time, content_type, data, metadata } = event;
    (aggregate, revision, id, name, schema_version, time, content_type, data, metadata)
}

fn freshness(leader: bool) -> Freshness {
    if leader { Freshness::Leader } else { Freshness::Fast }
}

fn said(error: impl std::error::Error) -> String {
    error.to_string()
}
