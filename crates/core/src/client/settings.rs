//! Options that a client has for all its calls, and a call for itself.

use crate::call::{CallOptions, RequestMetadata};

#[derive(Debug, Clone, Default)]
pub(super) struct CallSettings {
    pub(super) options: CallOptions,
    pub(super) metadata: RequestMetadata,
}

/// The setters of a type with a field `settings: CallSettings`.
macro_rules! call_settings {
    () => {
        /// How long to wait for the reply, retries included; the transport's default otherwise.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.options.timeout = Some(timeout);
            self
        }

        /// When the answer stops mattering. The service is told, and drops work that is late.
        pub fn deadline(mut self, deadline: chrono::DateTime<chrono::Utc>) -> Self {
            self.settings.options.deadline = Some(deadline);
            self
        }

        /// One more header of the request, such as `Authorization`.
        pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.settings.options.headers.push((name.into(), value.into()));
            self
        }

        /// The conversation the request belongs to; stored with the events.
        pub fn correlation_id(mut self, correlation_id: impl Into<String>) -> Self {
            self.settings.metadata.correlation_id = Some(correlation_id.into());
            self
        }

        /// What caused the request, such as an event's id; stored with the events.
        pub fn causation_id(mut self, causation_id: impl Into<String>) -> Self {
            self.settings.metadata.causation_id = Some(causation_id.into());
            self
        }

        /// On whose behalf it is sent; stored with the events.
        pub fn user_id(mut self, user_id: impl Into<String>) -> Self {
            self.settings.metadata.user_id = Some(user_id.into());
            self
        }

        /// On which tenant's behalf it is sent; stored with the events.
        pub fn tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
            self.settings.metadata.tenant_id = Some(tenant_id.into());
            self
        }

        /// The W3C trace context of the caller.
        pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
            self.settings.metadata.traceparent = Some(traceparent.into());
            self
        }
    };
}

pub(super) use call_settings;
