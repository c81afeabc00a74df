//! Calls while the connection is lost.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use crate::support;

use headwater_core::Revision;
use headwater_core::call::{CallError, CallOptions, LostReply, Transport};
use headwater_nats_client::{NatsClient, RetryPolicy};
use headwater_testkit::{FaultProxy, RawClient, TestServer, header_block, wait_until};
use support::{Fake, LONG, MS, Reply, add_item, connect, get, once, receipts, within};
use tokio::time::Instant;

/// A server, a proxy in front of it for the client, and the service behind the proxy.
async fn proxied() -> (TestServer, FaultProxy) {
    let server = TestServer::start().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    (server, proxy)
}

async fn until_received(service: &Fake, count: usize) {
    let received = async || (service.received().len() >= count).then_some(());
    wait_until(LONG, "the request", received).await;
}

#[tokio::test]
async fn calls_under_way_fail_when_the_connection_drops_and_do_not_wait_for_their_timeout() {
    let (server, proxy) = proxied().await;
    let service = Fake::answering(&server.url(), "receipts.>", |_, _| None).await;
    let client = once(&proxy.url()).await;
    let start = Instant::now();
    let calls = tokio::spawn(async move {
        let (command, options) = (add_item(), within(LONG));
        tokio::join!(client.command(command, &options), client.get(get(), &options))
    });
    until_received(&service, 2).await;
    proxy.cut().await;
    let (command, query) = calls.await.unwrap();
    let command = command.unwrap_err();
    assert!(matches!(command, CallError::OutcomeUnknown { cause: LostReply::ConnectionLost, .. }), "{command}");
    let query = query.unwrap_err();
    assert!(matches!(query, CallError::Unanswered(LostReply::ConnectionLost)), "{query}");
    assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_command_whose_connection_dropped_is_sent_again_with_the_same_id() {
    let (server, proxy) = proxied().await;
    let service =
        Fake::answering(&server.url(), "receipts.>", |number, request| (number > 1).then(|| Reply::done(request, 1)))
            .await;
    let builder = NatsClient::builder(connect(&proxy.url()).await, receipts());
    let client = builder.reconnect_grace(LONG).build().unwrap();
    let call = tokio::spawn(async move { client.command(add_item(), &within(LONG * 3)).await });
    until_received(&service, 1).await;
    proxy.cut().await;
    let done = call.await.unwrap().unwrap();
    assert_eq!(done.revision, Revision::new(1));
    let ids: Vec<_> = service.received().iter().map(|request| request.command_id().to_owned()).collect();
    assert_eq!(ids, [done.command_id.as_str(); 2]);
}

#[tokio::test]
async fn without_a_connection_a_call_says_so_after_a_short_grace_and_nothing_is_sent_later() {
    let (server, proxy) = proxied().await;
    let service = Fake::answering(&server.url(), "receipts.>", |_, request| Some(Reply::done(request, 1))).await;
    let builder = NatsClient::builder(connect(&proxy.url()).await, receipts());
    let client = builder.reconnect_grace(100 * MS).build().unwrap();
    proxy.refuse().await;
    proxy.cut().await;
    let mut statuses = client.connection().statuses();
    tokio::time::timeout(LONG, statuses.wait_for(|status| !status.is_connected())).await.unwrap().unwrap();
    let start = Instant::now();
    let error = client.command(add_item(), &within(LONG)).await.unwrap_err();
    assert!(matches!(error, CallError::Disconnected(_)), "{error}");
    assert!(start.elapsed() >= 100 * MS && start.elapsed() < LONG / 2, "{:?}", start.elapsed());

    proxy.accept().await.unwrap();
    tokio::time::timeout(LONG, statuses.wait_for(|status| status.is_connected())).await.unwrap().unwrap();
    client.command(add_item(), &CallOptions::default()).await.unwrap();
    assert_eq!(service.received().len(), 1, "the command that was reported as not sent was not sent");
}

#[tokio::test]
async fn a_call_waits_for_a_connection_that_comes_back_in_time() {
    let (server, proxy) = proxied().await;
    let _service = Fake::answering(&server.url(), "receipts.>", |_, _| Some(Reply::entity(1))).await;
    let builder = NatsClient::builder(connect(&proxy.url()).await, receipts());
    let client = builder.reconnect_grace(LONG).build().unwrap();
    proxy.refuse().await;
    proxy.cut().await;
    let mut statuses = client.connection().statuses();
    tokio::time::timeout(LONG, statuses.wait_for(|status| !status.is_connected())).await.unwrap().unwrap();
    let call = tokio::spawn(async move { client.get(get(), &within(LONG * 3)).await });
    proxy.accept().await.unwrap();
    assert_eq!(call.await.unwrap().unwrap().revision, Revision::new(1));
}

#[tokio::test]
async fn a_reply_that_the_network_loses_is_an_unknown_outcome() {
    let (server, proxy) = proxied().await;
    let _service = Fake::answering(&server.url(), "receipts.>", |_, request| Some(Reply::done(request, 1))).await;
    let client = once(&proxy.url()).await;
    proxy.lose_where(|frame| frame.windows(9).any(|window| window == b"\"success\""));
    let error = client.command(add_item(), &within(200 * MS)).await.unwrap_err();
    assert!(matches!(error, CallError::OutcomeUnknown { cause: LostReply::Timeout(_), .. }), "{error}");
    proxy.lose_nothing();
    client.command(add_item(), &CallOptions::default()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_was_killed_by_a_frame_is_replaced_and_calls_go_on() {
    let server = TestServer::start().await;
    let service =
        Fake::answering(&server.url(), "receipts.>", |number, request| (number > 1).then(|| Reply::done(request, 1)))
            .await;
    let retry = RetryPolicy::default().attempts(10);
    let builder = NatsClient::builder(connect(&server.url()).await, receipts()).retry(retry);
    let client = builder.reconnect_grace(LONG).build().unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.command(add_item(), &within(LONG * 3)).await }
    });
    until_received(&service, 1).await;
    // A bare carriage return in a header value ends the library's connection task.
    let mut raw = RawClient::connect(server.address()).await.unwrap();
    let inbox = service.received()[0].reply.clone();
    raw.hpub(&inbox, None, &header_block(b"Name: a\rb"), b"{}").await.unwrap();
    raw.ping().await.unwrap();
    let done = call.await.unwrap().unwrap();
    assert_eq!(done.revision, Revision::new(1));
    assert!(client.connection().generation() > 1, "the client was replaced");
    client.command(add_item(), &CallOptions::default()).await.unwrap();
}
