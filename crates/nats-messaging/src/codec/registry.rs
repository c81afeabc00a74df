//! The formats that a program reads.

use std::sync::Arc;

use super::{Codec, Json, essence};

/// The formats that a program reads, by content type: JSON and, with the feature `msgpack`, MessagePack, and others that are
/// added.
#[derive(Debug, Clone)]
pub struct Codecs(Vec<Arc<dyn Codec>>);

impl Default for Codecs {
    fn default() -> Self {
        let codecs = Self(vec![Arc::new(Json)]);
        #[cfg(feature = "msgpack")]
        let codecs = codecs.with(super::MessagePack);
        codecs
    }
}

impl Codecs {
    /// Adds a format. It goes before those that are there, should they read the same media types.
    #[must_use]
    pub fn with(mut self, codec: impl Codec) -> Self {
        self.0.push(Arc::new(codec));
        self
    }

    /// The format that was added last.
    pub(crate) fn last(&self) -> &dyn Codec {
        self.0.last().map_or(&Json, |codec| &**codec)
    }

    /// The format that reads data of this media type; an empty one stands for JSON.
    #[must_use]
    pub fn of(&self, content_type: &str) -> Option<&dyn Codec> {
        let media_type = essence(content_type);
        self.0.iter().rev().find(|codec| codec.reads(&media_type)).map(|codec| &**codec)
    }
}
