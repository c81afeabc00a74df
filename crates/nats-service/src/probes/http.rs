//! The HTTP port: bounded, one request a connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use headwater_nats::discovery::HealthStatus;
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::pages::{Page, Pages, Said};

/// Connections at once. Further ones wait in the system's queue; none of these lasts longer than [`CONVERSATION`].
const MOST_CONNECTIONS: usize = 32;

/// The form of a page of metrics.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long a connection may last.
const CONVERSATION: Duration = Duration::from_secs(5);

/// How long the head of a request may take to come.
const HEAD_WITHIN: Duration = Duration::from_secs(2);

/// The largest head of a request, in bytes; hyper takes no smaller limit.
const LARGEST_HEAD: usize = 8 * 1024;

/// The most header lines.
const MOST_LINES: usize = 32;

/// The pause after the system could not hand over a connection, as when there are too many open files.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Answers until it is stopped, and its connections with it.
pub(crate) async fn serve(listener: TcpListener, pages: Arc<Pages>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) => _ = open.spawn(timeout(CONVERSATION, converse(stream, Arc::clone(&pages)))),
                Err(error) => {
                    tracing::warn!(%error, "a probe could not be taken in");
                    sleep(AFTER_FAILURE).await;
                }
            },
        }
    }
}

async fn converse(stream: TcpStream, pages: Arc<Pages>) {
    let answering = service_fn(|request: Request<Incoming>| {
        let response = answer(&request, &pages);
        async move { Ok::<_, Infallible>(response) }
    });
    let talk = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_LINES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answering);
    if let Err(error) = talk.await {
        tracing::debug!(%error, "a probe broke off");
    }
}

fn answer(request: &Request<Incoming>, pages: &Pages) -> Response<String> {
    let not_found = || respond(StatusCode::NOT_FOUND, problem("there is no such page"));
    let Some(page) = Page::at(request.uri().path()) else { return not_found() };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, problem("probes are read with GET"));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    if !request.body().is_end_stream() {
        return respond(StatusCode::PAYLOAD_TOO_LARGE, problem("a probe has no body"));
    }
    let health = match pages.answer(page) {
        Said::Nothing => return not_found(),
        Said::Metrics(text) => {
            let mut response = respond(StatusCode::OK, text);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROMETHEUS));
            return response;
        }
        Said::Health(health) => health,
    };
    let status = if health.status == HealthStatus::Ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    respond(status, serde_json::to_string(&health).expect("health is made of texts"))
}

fn problem(message: &str) -> String {
    serde_json::json!({ "error": message }).to_string()
}

fn respond(status: StatusCode, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
