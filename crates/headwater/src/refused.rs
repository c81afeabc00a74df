//! What only a compiler can refuse: doc tests, which tell by which error.

/// It compiles as it should be:
///
/// ```
/// use headwater_core::{Aggregate, AggregateId, NeverRejected};
/// use headwater_macros::{Command, Event, aggregate};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, JsonSchema)]
/// struct Counter {
///     count: u64,
/// }
///
/// #[derive(Command, Serialize, Deserialize, JsonSchema)]
/// struct Increment {
///     by: u64,
/// }
///
/// #[derive(Clone, Event)]
/// enum CounterEvent {
///     Incremented { by: u64 },
/// }
///
/// #[aggregate(type = "counter", event = CounterEvent)]
/// impl Counter {
///     fn init(_: &AggregateId) -> Self {
///         Self { count: 0 }
///     }
///
///     fn evolve(&mut self, event: &CounterEvent) {
///         let CounterEvent::Incremented { by } = event;
///         self.count += by;
///     }
///
///     #[command]
///     fn increment(&self, command: Increment) -> Result<CounterEvent, NeverRejected> {
///         Ok(CounterEvent::Incremented { by: command.by })
///     }
/// }
/// ```
///
/// What a command returns are events of its aggregate:
///
/// ```compile_fail,E0277
/// use headwater_core::{Aggregate, AggregateId, NeverRejected};
/// use headwater_macros::{Command, Event, aggregate};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, JsonSchema)]
/// struct Counter {
///     count: u64,
/// }
///
/// #[derive(Command, Serialize, Deserialize, JsonSchema)]
/// struct Increment {
///     by: u64,
/// }
///
/// #[derive(Clone, Event)]
/// enum CounterEvent {
///     Incremented { by: u64 },
/// }
///
/// #[aggregate(type = "counter", event = CounterEvent)]
/// impl Counter {
///     fn init(_: &AggregateId) -> Self {
///         Self { count: 0 }
///     }
///
///     fn evolve(&mut self, event: &CounterEvent) {
///         let CounterEvent::Incremented { by } = event;
///         self.count += by;
///     }
///
///     #[command]
///     fn increment(&self, command: Increment) -> Result<u64, NeverRejected> {
///         Ok(command.by)
///     }
/// }
/// ```
///
/// The name on the wire and the method are one name:
///
/// ```compile_fail,E0080
/// use headwater_core::{Aggregate, AggregateId, NeverRejected};
/// use headwater_macros::{Command, Event, aggregate};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, JsonSchema)]
/// struct Counter {
///     count: u64,
/// }
///
/// #[derive(Command, Serialize, Deserialize, JsonSchema)]
/// struct Increment {
///     by: u64,
/// }
///
/// #[derive(Clone, Event)]
/// enum CounterEvent {
///     Incremented { by: u64 },
/// }
///
/// #[aggregate(type = "counter", event = CounterEvent)]
/// impl Counter {
///     fn init(_: &AggregateId) -> Self {
///         Self { count: 0 }
///     }
///
///     fn evolve(&mut self, event: &CounterEvent) {
///         let CounterEvent::Incremented { by } = event;
///         self.count += by;
///     }
///
///     #[command]
///     fn count_on(&self, command: Increment) -> Result<CounterEvent, NeverRejected> {
///         Ok(CounterEvent::Incremented { by: command.by })
///     }
/// }
/// ```
struct Refused;
