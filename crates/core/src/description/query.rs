//! One further query of a described aggregate type.

use serde_json::Value;

use super::state::{AnyState, typed};
use crate::schema::{PayloadValidator, SchemaError, misfit, schema_of};
use crate::{Answer, Failure, Name, Query};

/// One further query of a described aggregate type.
pub struct QueryType {
    name: Name,
    schema: Value,
    answer_schema: Value,
    validator: PayloadValidator,
    answer: fn(&dyn AnyState, &Value) -> Result<Value, Refused>,
}

enum Refused {
    Payload(crate::Violation),
    Answer(serde_json::Error),
}

impl QueryType {
    pub(super) fn answered<A: Answer<Q>, Q: Query>(name: Name) -> Result<Self, SchemaError> {
        let schema = schema_of::<Q>();
        let validator = PayloadValidator::new(&format!("query `{name}`"), &schema)?;
        let answer = |state: &dyn AnyState, payload: &Value| {
            let query = Q::deserialize(payload).map_err(|_| Refused::Payload(misfit::<Q>(payload)))?;
            serde_json::to_value(typed::<A>(state).answer(query)).map_err(Refused::Answer)
        };
        Ok(Self { name, schema, answer_schema: schema_of::<Q::Answer>(), validator, answer })
    }

    /// Its name on the wire.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The JSON Schema of its payload.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The JSON Schema of its answer.
    #[must_use]
    pub fn answer_schema(&self) -> &Value {
        &self.answer_schema
    }

    /// Checks a payload against the schema.
    pub(crate) fn check(&self, payload: &Value) -> Result<(), Failure> {
        let refused = |violations: Vec<_>| Failure::validation_failed(self.name.as_str(), &violations);
        self.validator.check(payload).map_err(refused)
    }

    pub(crate) fn answer(&self, state: &dyn AnyState, payload: &Value) -> Result<Value, Failure> {
        (self.answer)(state, payload).map_err(|refused| match refused {
            Refused::Payload(violation) => Failure::validation_failed(self.name.as_str(), &[violation]),
            Refused::Answer(error) => {
                tracing::error!(query = %self.name, %error, "the answer cannot be written as JSON");
                Failure::internal(format!("the answer of `{}` cannot be written as JSON", self.name))
            }
        })
    }
}

impl std::fmt::Debug for QueryType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryType").field("name", &self.name).finish_non_exhaustive()
    }
}
