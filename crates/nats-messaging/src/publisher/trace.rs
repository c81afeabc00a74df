//! The trace that a message is part of.

use headwater_nats::telemetry::{context, within};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

use crate::envelope::Attributes;

/// The context that the code runs in, when it is part of a trace.
pub(super) fn current() -> Option<Context> {
    Context::map_current(|current| is_part_of_one(current).then(|| current.clone()))
}

/// The trace that the message names already: that of what caused it.
pub(super) fn of(attributes: &Attributes) -> Option<Context> {
    context::parse(attributes.traceparent.as_deref()?, attributes.tracestate.as_deref()).map(within)
}

/// Makes the message part of the first of these traces that is one, or of none.
pub(super) fn carry(traces: [Option<&Context>; 2], attributes: &mut Attributes) {
    let trace = traces.into_iter().flatten().find(|trace| is_part_of_one(trace));
    attributes.traceparent = trace.map(|trace| context::traceparent(trace.span().span_context()));
    let state = trace.map(|trace| trace.span().span_context().trace_state().header());
    // A state that could end the line of a header is none.
    attributes.tracestate = state.filter(|state| !state.is_empty() && !state.chars().any(char::is_control));
}

fn is_part_of_one(context: &Context) -> bool {
    context.span().span_context().is_valid()
}
