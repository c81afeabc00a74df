//! Requests as any NATS client sends them, and answers looked at from outside.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Request, RequestError};
use bytes::Bytes;
use serde_json::{Value, json};

/// Longer than any answer takes.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// A caller without any code of the toolkit.
#[derive(Debug, Clone)]
pub struct Plain {
    /// Its connection.
    pub client: Client,
}

/// An answer with what a plain NATS client sees of it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The headers; empty when there are none.
    pub headers: HeaderMap,
    /// The body.
    pub body: Value,
}

impl Plain {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Asks, and expects an answer in JSON.
    pub async fn ask(&self, subject: &str, body: impl Into<Bytes>) -> Answer {
        self.ask_with(subject, HeaderMap::new(), body).await
    }

    /// The same with headers.
    pub async fn ask_with(&self, subject: &str, headers: HeaderMap, body: impl Into<Bytes>) -> Answer {
        self.try_ask(subject, headers, body).await.unwrap_or_else(|error| panic!("{subject}: {error}"))
    }

    /// Asks; the error is the client's own.
    ///
    /// # Errors
    /// Without an answer, or without anybody to give one.
    pub async fn try_ask(
        &self,
        subject: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Answer, RequestError> {
        let mut request = Request::new().payload(body.into()).timeout(Some(ANSWER_WITHIN));
        if !headers.is_empty() {
            request = request.headers(headers);
        }
        self.client.send_request(subject.to_owned(), request).await.map(Answer::of)
    }

    /// Sends the command called `name` with this body.
    pub async fn command(&self, name: &str, body: &Value) -> Answer {
        self.ask(&command_subject(name), body.to_string()).await
    }

    /// Puts a line on a receipt, and says nothing but what must be said.
    pub async fn add(&self, id: &str, item: &str) -> Answer {
        self.command("add-item", &add_item(id, item)).await
    }

    /// Asks the query called `name` with this body.
    pub async fn query(&self, name: &str, body: &Value) -> Answer {
        self.ask(&query_subject(name), body.to_string()).await
    }

    /// Asks for the state of a receipt.
    pub async fn get(&self, id: &str) -> Answer {
        self.query("get", &json!({ "aggregateId": id })).await
    }
}

/// `receipts.command.receipt.{name}`.
#[must_use]
pub fn command_subject(name: &str) -> String {
    format!("receipts.command.receipt.{name}")
}

/// `receipts.query.receipt.{name}`.
#[must_use]
pub fn query_subject(name: &str) -> String {
    format!("receipts.query.receipt.{name}")
}

/// A body that puts one piece of `item` on a receipt.
#[must_use]
pub fn add_item(id: &str, item: &str) -> Value {
    json!({ "aggregateId": id, "command": { "name": item, "price": "5.99", "quantity": 2 } })
}

/// A body that puts one piece of each item on a receipt, as several events.
#[must_use]
pub fn add_items(id: &str, items: &[&str]) -> Value {
    let items: Vec<_> = items.iter().map(|name| json!({ "name": name, "price": "1", "quantity": 1 })).collect();
    json!({ "aggregateId": id, "command": { "items": items } })
}

/// Headers of a request.
#[must_use]
pub fn headers<const N: usize>(lines: [(&str, &str); N]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name, value);
    }
    headers
}

impl Answer {
    /// What came as a message.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn of(message: Message) -> Self {
        let body = serde_json::from_slice(&message.payload);
        Self { body: body.unwrap(), headers: message.headers.unwrap_or_default() }
    }

    /// The value of a header; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(async_nats::HeaderValue::as_str).unwrap_or_default()
    }

    /// The result of a success, which has no error and no headers.
    ///
    /// # Panics
    /// When it is no success.
    #[track_caller]
    pub fn result(&self) -> &Value {
        assert_eq!(self.body["success"], true, "{:#}", self.body);
        assert!(self.body.get("error").is_none() && self.headers.is_empty(), "{self:?}");
        &self.body["result"]
    }

    /// The error of a failure, which must have this number and code, in body and headers alike.
    ///
    /// # Panics
    /// When it is another, or body and headers disagree.
    #[track_caller]
    pub fn error(&self, number: u16, code: &str) -> &Value {
        assert_eq!(self.body["success"], false, "{:#}", self.body);
        assert!(self.body.get("result").is_none(), "{:#}", self.body);
        let error = &self.body["error"];
        assert_eq!(error["code"], code, "{error:#}");
        assert_eq!(self.header("Nats-Service-Error-Code"), number.to_string(), "{self:?}");
        assert_eq!(self.header("Nats-Service-Error"), ascii(error["message"].as_str().unwrap()), "{self:?}");
        assert_eq!(self.headers.len(), 2, "{self:?}");
        error
    }

    /// The message of a failure.
    ///
    /// # Panics
    /// As [`error`](Self::error).
    #[track_caller]
    pub fn message(&self, number: u16, code: &str) -> String {
        self.error(number, code)["message"].as_str().unwrap().to_owned()
    }
}

/// The message as a header shows it: ASCII, and not too long.
fn ascii(message: &str) -> String {
    let line: String = message.chars().take(256).map(|c| if c.is_ascii() { c } else { '?' }).collect();
    line.trim().to_owned()
}
