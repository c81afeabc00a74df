//! Values as bytes and back, by content type.

use bytes::Bytes;
use headwater_nats_messaging::BoxError;
use headwater_nats_messaging::codec::{
    Codec, CodecError, CodecErrorKind, Codecs, Decode, Encode, Json, MessagePack, Proto, Raw, Read, erased_serde,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    note: Option<String>,
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    name: String,
    quantity: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Placed {
    #[prost(string, tag = "1")]
    customer: String,
    #[prost(uint64, tag = "2")]
    amount: u64,
}

fn order() -> Order {
    let item = |name: &str| Item { name: name.to_owned(), quantity: 2 };
    Order { id: 7, note: None, items: vec![item("tea"), item("milk")] }
}

fn written(value: &impl Encode, codec: &dyn Codec) -> Bytes {
    let mut body = Vec::new();
    value.encode(codec, &mut body).unwrap();
    body.into()
}

fn read<T: Decode>(content_type: &str, data: &[u8]) -> Result<T, CodecError> {
    T::decode(content_type, &Bytes::copy_from_slice(data), &Codecs::default())
}

#[track_caller]
fn refused<T: Decode>(content_type: &str, data: &[u8]) -> String {
    match read::<T>(content_type, data) {
        Ok(_) => panic!("it was read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_value_comes_back_from_every_format() {
    for codec in [&Json as &dyn Codec, &MessagePack] {
        assert_eq!(read::<Order>(codec.content_type(), &written(&order(), codec)).unwrap(), order());
    }
    assert_eq!(written(&order(), &Json), serde_json::to_vec(&order()).unwrap());
    assert_eq!(order().content_type(&MessagePack), "application/msgpack");
}

#[test]
fn a_media_type_is_known_by_its_other_names_and_with_parameters() {
    let packed = written(&order(), &MessagePack);
    for content_type in ["application/x-msgpack", "APPLICATION/VND.MSGPACK; v=1"] {
        assert_eq!(read::<Order>(content_type, &packed).unwrap(), order());
    }
    let json = written(&order(), &Json);
    for content_type in ["", "application/vnd.orders+json", "Text/JSON; charset=utf-8"] {
        assert_eq!(read::<Order>(content_type, &json).unwrap(), order());
    }
}

#[test]
fn a_media_type_without_a_codec_is_told() {
    let error = read::<Order>("text/csv\r\n", b"1,2").unwrap_err();
    assert_eq!(error.kind(), CodecErrorKind::Unsupported);
    assert_eq!(error.to_string(), "data of type `text/csv` cannot be read: no codec is there for it");
}

#[test]
fn what_is_wrong_in_json_is_told_by_its_place_and_never_by_its_value() {
    let type_of = "data of type `application/json` cannot be read: ";
    for (json, what) in [
        (r#"{"id":"SECRET","note":null,"items":[]}"#, "`id` is of the wrong form"),
        (r#"{"id":1,"items":[{"name":"SECRET","quantity":-5}]}"#, "`items[0].quantity` is of the wrong form"),
        (r#"{"id":1,"items":[{"name":"SECRET"}]}"#, "`items[0]` lacks the field `quantity`"),
        (r#"{"id":1,"id":2,"items":[]}"#, "has the field `id` twice"),
        (r#"{"id":1,"items":[]}SECRET"#, "something follows the value"),
        ("SECRET", "is not JSON from line 1, column 1, on"),
    ] {
        let told = refused::<Order>("application/json", json.as_bytes());
        let told = told.strip_prefix(type_of).unwrap_or_else(|| panic!("{told}"));
        assert!(told.ends_with(what), "{told} for {json}");
        assert!(!told.contains("SECRET"), "{told}");
    }
    let error = read::<Order>("", br#"{"id":1,"items":[{"name":"a","quantity":-5}]}"#).unwrap_err();
    assert_eq!((error.place(), error.content_type()), (Some("items[0].quantity"), "application/json"));
}

#[test]
fn what_is_wrong_in_messagepack_is_told_by_its_place_and_never_by_its_value() {
    let packed = |value: serde_json::Value| written(&value, &MessagePack);
    let type_of = "application/msgpack";
    let wrong = packed(serde_json::json!({"id": 1, "items": [{"name": "a", "quantity": "SECRET"}]}));
    let told = refused::<Order>(type_of, &wrong);
    assert!(told.contains("`items[0].quantity`") && !told.contains("SECRET"), "{told}");
    let told = refused::<Order>(type_of, &packed(serde_json::json!({"id": 1})));
    assert!(told.ends_with("lacks the field `items`"), "{told}");
    let whole = written(&order(), &MessagePack);
    assert!(refused::<Order>(type_of, &whole[..whole.len() - 3]).contains("is not whole"));
    assert!(refused::<Order>(type_of, &[&whole[..], b"x"].concat()).contains("something follows"));
    assert!(refused::<Order>(type_of, b"").contains("is not whole"));
}

#[test]
fn protocol_buffers_are_read_only_as_what_they_are() {
    let placed = Proto(Placed { customer: "Zoë".to_owned(), amount: 12 });
    let body = written(&placed, &Json);
    assert_eq!(placed.content_type(&Json), "application/protobuf");
    assert_eq!(read::<Proto<Placed>>("application/x-protobuf", &body).unwrap(), placed);
    assert!(refused::<Proto<Placed>>("application/json", b"{}").contains("Protocol Buffers"));
    let told = refused::<Proto<Placed>>("application/protobuf", b"\x0a\xffSECRET");
    assert!(told.contains("application/protobuf") && !told.contains("SECRET"), "{told}");
}

#[test]
fn bytes_go_as_they_are_and_those_that_claim_to_be_json_must_be() {
    let raw = Raw::of_type("text/plain", "hello");
    assert_eq!(read::<Raw>("text/plain", &written(&raw, &MessagePack)).unwrap(), raw);
    assert_eq!(Raw::new("x").content_type, "application/octet-stream");
    let mut body = Vec::new();
    let error = Raw::of_type("application/json", "{SECRET").encode(&Json, &mut body).unwrap_err();
    assert_eq!(error.kind(), CodecErrorKind::Write);
    assert!(!error.to_string().contains("SECRET"), "{error}");
}

#[test]
fn what_a_format_cannot_express_is_told() {
    let map = std::collections::BTreeMap::from([((1, 2), "SECRET")]);
    let error = map.encode(&Json, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().starts_with("data of type `application/json` cannot be written"), "{error}");
}

/// A format of the test's own: JSON backwards.
#[derive(Debug)]
struct Backwards;

impl Codec for Backwards {
    fn content_type(&self) -> &str {
        "application/x-backwards"
    }

    fn encode(&self, value: &dyn erased_serde::Serialize, body: &mut Vec<u8>) -> Result<(), BoxError> {
        body.extend(serde_json::to_vec(value)?.into_iter().rev());
        Ok(())
    }

    fn decode(&self, body: &[u8], read: &mut Read<'_>) -> Result<(), BoxError> {
        let json: Vec<u8> = body.iter().rev().copied().collect();
        let mut deserializer = serde_json::Deserializer::from_slice(&json);
        Ok(read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut deserializer))?)
    }
}

#[test]
fn a_format_of_ones_own_is_used_like_the_others() {
    let codecs = Codecs::default().with(Backwards);
    let body = written(&order(), &Backwards);
    assert_eq!(body.first(), Some(&b'}'));
    assert_eq!(Order::decode("application/x-backwards", &body, &codecs).unwrap(), order());
    let wrong = written(&serde_json::json!({"id": "SECRET", "items": []}), &Backwards);
    let error = Order::decode("application/x-backwards", &wrong, &codecs).unwrap_err();
    assert_eq!(error.to_string(), "data of type `application/x-backwards` cannot be read: `id` is of the wrong form");
}
