//! A collector of OTLP over HTTP, as small as can be: it keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes, BytesMut};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// A collector at work.
pub(crate) struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Vec<(String, Bytes)>>>,
    _task: AbortOnDropHandle<()>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    if let Some(request) = receive(stream).await {
                        kept.lock().unwrap().push(request);
                    }
                });
            }
        });
        Self { address, received, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn sent_to<M: Message + Default>(&self, path: &str) -> Vec<M> {
        let received = self.received.lock().unwrap();
        let bodies = received.iter().filter(|(to, _)| to == path).map(|(_, body)| body.clone());
        bodies.map(|body| M::decode(body).unwrap()).collect()
    }

    /// All spans, each with the name of its service.
    pub(crate) fn spans(&self) -> Vec<(String, Span)> {
        let sent =
            self.sent_to::<ExportTraceServiceRequest>("/v1/traces").into_iter().flat_map(|sent| sent.resource_spans);
        sent.flat_map(|spans| {
            let service = service(spans.resource.as_ref());
            let spans = spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.map(|span| (service.clone(), span)).collect::<Vec<_>>()
        })
        .collect()
    }

    /// The names of all metrics, each with the name of its service.
    pub(crate) fn metrics(&self) -> Vec<(String, String)> {
        let sent = self
            .sent_to::<ExportMetricsServiceRequest>("/v1/metrics")
            .into_iter()
            .flat_map(|sent| sent.resource_metrics);
        sent.flat_map(|metrics| {
            let service = service(metrics.resource.as_ref());
            let metrics = metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            metrics.map(|metric| (service.clone(), metric.name)).collect::<Vec<_>>()
        })
        .collect()
    }
}

fn service(resource: Option<&Resource>) -> String {
    let named = resource.unwrap().attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
    match named.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        other => panic!("{other:?} is no name"),
    }
}

/// One request: its path and body.
async fn receive(mut stream: TcpStream) -> Option<(String, Bytes)> {
    let mut read = BytesMut::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(read[..head].to_vec()).unwrap();
    read.advance(head + 4);
    let mut lines = text.lines();
    let path = lines.next().unwrap().strip_prefix("POST ").unwrap().split(' ').next().unwrap().to_owned();
    let header = |name: &str| {
        lines.clone().find_map(|line| {
            line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        })
    };
    assert_eq!(header("content-type"), Some("application/x-protobuf"));
    let length: usize = header("content-length").unwrap().parse().unwrap();
    while read.len() < length {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0, "the body is not whole");
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.ok()?;
    Some((path, read.split_to(length).freeze()))
}
