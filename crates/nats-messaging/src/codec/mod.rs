//! How values become bytes and bytes values, chosen by content type.
//!
//! - [`Codec`]: a format for everything that serde can write and read. [`Json`] is the default, `MessagePack` (feature
//!   `msgpack`) is there too, and programs add their own.
//! - [`Codecs`]: the formats that a program reads, by content type.
//! - [`Encode`], [`Decode`]: what can be written and read. All of serde's types can, in whatever format; `Proto` (feature
//!   `protobuf`) is a message of Protocol Buffers and [`Raw`] are bytes as they are, both whatever the format is.
//!
//! ```
//! use headwater_nats_messaging::codec::{Codecs, Decode, Encode, Json, Raw};
//!
//! let mut body = Vec::new();
//! [1, 2, 3].encode(&Json, &mut body)?;
//!
//! let codecs = Codecs::default();
//! let body = body.into();
//! assert_eq!(Vec::<u8>::decode("application/json; charset=utf-8", &body, &codecs)?, [1, 2, 3]);
//! assert_eq!(Raw::decode("text/html", &body, &codecs)?.data, "[1,2,3]");
//!
//! let error = Vec::<bool>::decode("application/json", &body, &codecs).unwrap_err();
//! assert_eq!(error.to_string(), "data of type `application/json` cannot be read: `[0]` is of the wrong form");
//! # Ok::<_, headwater_nats_messaging::codec::CodecError>(())
//! ```

mod error;
mod json;
mod media_type;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "protobuf")]
mod protobuf;
mod raw;
mod registry;
mod value;

use std::borrow::Cow;
use std::fmt::Debug;

use bytes::Bytes;

use crate::BoxError;

pub use erased_serde;
pub use error::{CodecError, CodecErrorKind};
pub use json::Json;
pub(crate) use media_type::{essence, is_json, short};
#[cfg(feature = "msgpack")]
pub use msgpack::MessagePack;
#[cfg(feature = "protobuf")]
pub use protobuf::Proto;
pub use raw::Raw;
pub use registry::Codecs;

/// A format for everything that serde can write and read.
///
/// ```
/// use headwater_nats_messaging::BoxError;
/// use headwater_nats_messaging::codec::erased_serde::{self, Deserializer, Serialize};
/// use headwater_nats_messaging::codec::{Codec, Codecs, Decode, Encode, Read};
///
/// /// JSON that people like to look at.
/// #[derive(Debug)]
/// struct Pretty;
///
/// impl Codec for Pretty {
///     fn content_type(&self) -> &str {
///         "application/x.pretty+json"
///     }
///
///     fn encode(&self, value: &dyn Serialize, body: &mut Vec<u8>) -> Result<(), BoxError> {
///         let mut serializer = serde_json::Serializer::pretty(body);
///         Ok(erased_serde::serialize(value, &mut serializer)?)
///     }
///
///     fn decode(&self, body: &[u8], read: &mut Read<'_>) -> Result<(), BoxError> {
///         let mut deserializer = serde_json::Deserializer::from_slice(body);
///         read(&mut <dyn Deserializer>::erase(&mut deserializer))?;
///         Ok(deserializer.end()?)
///     }
/// }
///
/// let codecs = Codecs::default().with(Pretty);
/// let mut body = Vec::new();
/// ["a"].encode(&Pretty, &mut body)?;
/// assert_eq!(<[String; 1]>::decode("application/x.pretty+json", &body.into(), &codecs)?, ["a"]);
/// # Ok::<_, headwater_nats_messaging::codec::CodecError>(())
/// ```
pub trait Codec: Debug + Send + Sync + 'static {
    /// The media type of what it writes.
    fn content_type(&self) -> &str;

    /// Whether it reads data of this media type, which comes in lower case and without parameters. What it writes itself, if
    /// nothing else is said.
    fn reads(&self, media_type: &str) -> bool {
        media_type == essence(self.content_type())
    }

    /// Appends the value to the body.
    ///
    /// # Errors
    ///
    /// When the format cannot express the value. The error is not shown to anybody, since it may tell of the value.
    fn encode(&self, value: &dyn erased_serde::Serialize, body: &mut Vec<u8>) -> Result<(), BoxError>;

    /// Hands a deserializer of the body to `read`, once.
    ///
    /// # Errors
    ///
    /// When the body is not of this format, or is and `read` failed. The error is not shown to anybody.
    fn decode(&self, body: &[u8], read: &mut Read<'_>) -> Result<(), BoxError>;

    /// Which of the formats of this crate it is: these are written and read without the detour over erased types.
    #[doc(hidden)]
    fn built_in(&self) -> Option<BuiltIn> {
        None
    }
}

/// What takes a value from a deserializer.
pub type Read<'a> = dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error> + 'a;

#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn(Format);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    #[cfg(feature = "msgpack")]
    MessagePack,
}

/// A value that can be sent.
pub trait Encode {
    /// The media type that it will have, written with this format.
    fn content_type<'a>(&'a self, codec: &'a dyn Codec) -> Cow<'a, str>;

    /// Appends the value to the body. What it says is JSON must be.
    ///
    /// # Errors
    ///
    /// When the value cannot be written; what the body then ends with is of no use.
    fn encode(&self, codec: &dyn Codec, body: &mut Vec<u8>) -> Result<(), CodecError>;
}

/// A value that can be received.
pub trait Decode: Sized {
    /// Reads the value out of data of this media type; an empty one stands for JSON.
    ///
    /// # Errors
    ///
    /// When no format reads this media type, or the data is not what it should be.
    fn decode(content_type: &str, data: &Bytes, codecs: &Codecs) -> Result<Self, CodecError>;
}
