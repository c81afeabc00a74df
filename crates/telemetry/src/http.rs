//! The little of HTTP that OTLP takes: one POST at a time, without TLS.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::setup::EXPORT_WITHIN;

/// The largest answer of a collector that is read.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// Sends requests over connections of their own, from a thread with a runtime of its own: whoever exports need not be in a
/// runtime, and one that is shutting down does not hold the last export up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainHttp;

#[async_trait]
impl HttpClient for PlainHttp {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = || -> Result<Response<Bytes>, HttpError> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { timeout(EXPORT_WITHIN, send(request)).await? })
        };
        // The exporters call this from threads of their own, which have nothing else to do.
        std::thread::scope(|scope| scope.spawn(sending).join()).unwrap_or_else(|_| Err("sending panicked".into()))
    }
}

async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut parts, body) = request.into_parts();
    let host = parts.uri.authority().ok_or("the collector's address has no host")?.clone();
    if parts.uri.scheme_str() != Some("http") {
        return Err("only http:// can be sent to".into());
    }
    let stream = TcpStream::connect((host.host().trim_matches(['[', ']']), host.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse()?;
    parts.headers.insert(HOST, HeaderValue::from_str(host.as_str())?);
    let answering = async {
        let response = sender.send_request(Request::from_parts(parts, Whole(Some(body)))).await?;
        let (parts, mut body) = response.into_parts();
        let mut read = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            if let Ok(data) = frame?.into_data() {
                if read.len() + data.len() > LARGEST_ANSWER {
                    return Err(HttpError::from("the collector's answer is too large"));
                }
                read.extend_from_slice(&data);
            }
        }
        Ok(Response::from_parts(parts, read.freeze()))
    };
    let mut connection = std::pin::pin!(connection);
    let mut answering = std::pin::pin!(answering);
    tokio::select! {
        biased;
        answer = &mut answering => answer,
        // It ends before the answer is read when the collector hangs up.
        _ = &mut connection => answering.await,
    }
}

/// A body that is there as a whole.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|whole| Ok(Frame::data(whole))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |whole| whole.len() as u64))
    }
}
