//! The names of spans, attributes and metrics, all of them in this one place.
//!
//! Where OpenTelemetry has a name it is that one (semantic conventions 1.42: `rpc.*` for calls, `messaging.*` for the
//! journal, NATS being the value `nats`); what is only Headwater's starts with `headwater.`. The conventions for calls and
//! messages are not stable yet: when they rename something it is changed here and in the changelog.

/// The scope that everything is recorded under.
pub const SCOPE: &str = "headwater";

/// What stands for values that nobody announced, so that a label has no more values than the program has names.
pub const OTHER: &str = "_OTHER";

/// `nats`.
pub const NATS: &str = "nats";

/// Calls: which system carries them; always [`NATS`].
pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// Calls: `{aggregate}/{command or query}`.
pub const RPC_METHOD: &str = "rpc.method";
/// Calls: [`OK`], or the code of the failure as the wire writes it.
pub const RPC_STATUS: &str = "rpc.response.status_code";
/// The code of a failure that is not the caller's nor the domain's answer.
pub const ERROR_TYPE: &str = "error.type";
/// The host of the NATS server.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port of the NATS server.
pub const SERVER_PORT: &str = "server.port";

/// Messages: which system carries them.
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// Messages: what is done, in our words.
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// Messages: what is done, in OpenTelemetry's words.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// Messages: the JetStream stream, never the subject of one aggregate.
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
/// Messages: the subject with `{id}` in place of the aggregate.
pub const MESSAGING_DESTINATION_TEMPLATE: &str = "messaging.destination.template";
/// Messages: how many at once.
pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
/// Messages: the id of the only one, where ids are recorded.
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
/// Messages: the durable that reads them.
pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";

/// The service.
pub const SERVICE: &str = "headwater.service";
/// The aggregate type.
pub const AGGREGATE_TYPE: &str = "headwater.aggregate.type";
/// The aggregate's id, where ids are recorded.
pub const AGGREGATE_ID: &str = "headwater.aggregate.id";
/// The aggregate's revision.
pub const REVISION: &str = "headwater.aggregate.revision";
/// The command.
pub const COMMAND: &str = "headwater.command";
/// The command's id, where ids are recorded.
pub const COMMAND_ID: &str = "headwater.command.id";
/// The user, where ids are recorded.
pub const USER_ID: &str = "user.id";
/// The tenant, where ids are recorded.
pub const TENANT_ID: &str = "headwater.tenant.id";
/// The event type.
pub const EVENT: &str = "headwater.event";
/// What deciding led to.
pub const DECISION: &str = "headwater.decision";
/// How many events.
pub const EVENT_COUNT: &str = "headwater.event.count";
/// How many commands share an append or a batch.
pub const GROUP_SIZE: &str = "headwater.group.size";
/// Whether a load started from a snapshot.
pub const FROM_SNAPSHOT: &str = "headwater.load.from_snapshot";
/// `hit` or `miss`.
pub const CACHE_RESULT: &str = "headwater.cache.result";
/// A durable reader.
pub const READER: &str = "headwater.reader";
/// What became of an event in a reader, or of something else that was done.
pub const OUTCOME: &str = "headwater.outcome";
/// How often an event was handed to its handler.
pub const ATTEMPT: &str = "headwater.attempt";
/// The stage of a service's edge.
pub const STAGE: &str = "headwater.stage";
/// A publisher, by the source that its messages name.
pub const PUBLISHER: &str = "headwater.publisher";

/// Which rate limit refused a request or a message.
pub const LIMIT: &str = "headwater.limit";
/// The circuit of a circuit breaker: `store`, or the name of a dependency or of a layer.
pub const CIRCUIT: &str = "headwater.circuit";

/// Said of what went well, where a code is said.
pub const OK: &str = "ok";

/// Histogram, seconds: calls as their callers see them.
pub const CLIENT_CALL_DURATION: &str = "rpc.client.call.duration";
/// Histogram, seconds: calls as the service sees them.
pub const SERVER_CALL_DURATION: &str = "rpc.server.call.duration";
/// Histogram, seconds: appends to the journal.
pub const OPERATION_DURATION: &str = "messaging.client.operation.duration";
/// Counter: events appended.
pub const SENT_MESSAGES: &str = "messaging.client.sent.messages";
/// Counter: events delivered to a reader.
pub const CONSUMED_MESSAGES: &str = "messaging.client.consumed.messages";
/// Histogram, seconds: one event in its handler.
pub const PROCESS_DURATION: &str = "messaging.process.duration";

/// Requests under way.
pub const IN_FLIGHT: &str = "headwater.server.in_flight";
/// Counter: requests turned away at the edge, by stage.
pub const TURNED_AWAY: &str = "headwater.server.turned_away";
/// Counter: requests and messages that the rate limits let through, put off and refused, the latter by limit.
pub const RATE_LIMIT_DECISIONS: &str = "headwater.rate_limit.decisions";
/// Counter: calls through a circuit, and what it refused, by how they went.
pub const CIRCUIT_CALLS: &str = "headwater.circuit.calls";
/// Counter: how often a circuit has opened.
pub const CIRCUIT_OPENED: &str = "headwater.circuit.opened";
/// How a circuit is: 0 closed, 1 half-open, 2 open.
pub const CIRCUIT_STATE: &str = "headwater.circuit.state";
/// Histogram, seconds: aggregates loaded into memory.
pub const LOAD_DURATION: &str = "headwater.load.duration";
/// Histogram: how many events the snapshot was behind that a load started from.
pub const SNAPSHOT_AGE: &str = "headwater.snapshot.age";
/// Histogram: how many commands share an append, or a batch of appends.
pub const APPEND_GROUP_SIZE: &str = "headwater.append.group.size";
/// Counter: look-ups of aggregates in memory, by result.
pub const CACHE_LOOKUPS: &str = "headwater.cache.lookups";
/// Aggregates in memory.
pub const CACHE_AGGREGATES: &str = "headwater.cache.aggregates";
/// Their size, in bytes.
pub const CACHE_SIZE: &str = "headwater.cache.size";
/// Counter: snapshots, by what became of them.
pub const SNAPSHOTS: &str = "headwater.snapshots";
/// Counter: what happened to commands besides being carried out.
pub const COMMAND_INCIDENTS: &str = "headwater.command.incidents";
/// How many events a reader is behind, as far as it was told.
pub const READER_LAG: &str = "headwater.reader.lag";
/// Messages of a publisher's window that no stream has acknowledged yet.
pub const PUBLISHER_IN_FLIGHT: &str = "headwater.publisher.in_flight";
/// Counter: messages that a publisher handed over once more.
pub const PUBLISHER_REPEATED: &str = "headwater.publisher.repeated";
/// Events in a reader's hands.
pub const READER_IN_HAND: &str = "headwater.reader.in_hand";
/// Messages that a consumer was never given.
pub const CONSUMER_PENDING: &str = "headwater.consumer.pending";
/// Messages that a consumer was given and that are not acknowledged.
pub const CONSUMER_ACK_PENDING: &str = "headwater.consumer.ack_pending";
/// Of those, how many were delivered more than once.
pub const CONSUMER_REDELIVERED: &str = "headwater.consumer.redelivered";
/// Whether messages wait for a consumer and none is brought to its end: 0 or 1.
pub const CONSUMER_STALLED: &str = "headwater.consumer.stalled";
/// Counter: what happened to consumers besides delivering.
pub const CONSUMER_INCIDENTS: &str = "headwater.consumer.incidents";

/// The bounds of durations, in seconds, as the conventions advise them for calls.
pub const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The bounds of numbers of commands and events.
pub const COUNTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
