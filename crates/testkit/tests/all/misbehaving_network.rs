//! The proxy and the raw client: what a test uses to lose acknowledgements, cut connections and send broken frames.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::io::ErrorKind;
use std::time::Duration;

use async_nats::jetstream;
use futures_util::StreamExt;
use headwater_testkit::{Direction, FaultProxy, RawClient, TestServer, header_block, wait_until};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(10);
const A_MOMENT: Duration = Duration::from_millis(200);

async fn server_and_proxy() -> (TestServer, FaultProxy) {
    let server = TestServer::start().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    (server, proxy)
}

#[tokio::test]
async fn the_proxy_passes_everything_until_told_otherwise() {
    let (_server, proxy) = server_and_proxy().await;
    let client = async_nats::connect(proxy.url()).await.unwrap();
    let mut received = client.subscribe("large").await.unwrap();
    client.publish("large", vec![7; 900_000].into()).await.unwrap();
    assert_eq!(received.next().await.unwrap().payload.len(), 900_000);
    assert_eq!(proxy.connections().await, 1);
    assert_eq!(proxy.lost(), 0);
}

#[tokio::test]
async fn a_frozen_proxy_holds_everything_back_and_then_delivers_it() {
    let (_server, proxy) = server_and_proxy().await;
    let mut client = RawClient::connect(proxy.address()).await.unwrap();
    client.subscribe("a", "1").await.unwrap();
    client.ping().await.unwrap();

    proxy.freeze();
    client.publish("a", None, b"held back").await.unwrap();
    assert!(timeout(A_MOMENT, client.line()).await.is_err(), "something came through");

    proxy.pass();
    assert_eq!(client.message().await.unwrap().body, "held back");
}

#[tokio::test]
async fn a_cut_closes_all_connections_and_lets_new_ones_in() {
    let (_server, proxy) = server_and_proxy().await;
    let mut one = RawClient::connect(proxy.address()).await.unwrap();
    let mut two = RawClient::connect(proxy.address()).await.unwrap();

    proxy.cut().await;
    assert!(one.ping().await.is_err());
    assert!(two.ping().await.is_err());
    assert_eq!(proxy.connections().await, 0);

    RawClient::connect(proxy.address()).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn a_refusing_proxy_keeps_old_connections_and_lets_nobody_in() {
    let (_server, proxy) = server_and_proxy().await;
    let mut old = RawClient::connect(proxy.address()).await.unwrap();

    proxy.refuse().await;
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    old.ping().await.unwrap();

    proxy.accept().await.unwrap();
    RawClient::connect(proxy.address()).await.unwrap();
}

#[tokio::test]
async fn a_delay_holds_in_its_direction() {
    let (_server, proxy) = server_and_proxy().await;
    let mut client = RawClient::connect(proxy.address()).await.unwrap();
    for direction in [Direction::ToServer, Direction::ToClient] {
        proxy.delay(direction, A_MOMENT);
        let before = Instant::now();
        client.ping().await.unwrap();
        assert!(before.elapsed() >= A_MOMENT, "{direction:?} took only {:?}", before.elapsed());
        proxy.delay(direction, Duration::ZERO);
    }
}

#[tokio::test]
async fn a_lost_acknowledgement_leaves_the_message_stored_and_the_connection_healthy() {
    let (server, proxy) = server_and_proxy().await;
    let client = async_nats::connect(proxy.url()).await.unwrap();
    let mut context = jetstream::new(client.clone());
    context.set_timeout(Duration::from_millis(500));
    let config = jetstream::stream::Config { name: "A".into(), subjects: vec!["a".into()], ..Default::default() };
    context.create_stream(config).await.unwrap();

    proxy.lose_next(1);
    let acknowledged = context.publish("a", "x".into()).await.unwrap().await;
    assert!(acknowledged.is_err(), "the acknowledgement was not lost");
    assert_eq!(proxy.lost(), 1);

    let direct = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    assert_eq!(direct.get_stream("A").await.unwrap().cached_info().state.messages, 1);
    context.publish("a", "y".into()).await.unwrap().await.unwrap();
    assert_eq!(client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn only_the_messages_picked_are_lost() {
    let (_server, proxy) = server_and_proxy().await;
    let mut client = RawClient::connect(proxy.address()).await.unwrap();
    client.subscribe("a", "1").await.unwrap();
    proxy.lose_where(|frame| frame.ends_with(b"odd\r\n"));
    for body in ["1 odd", "2 even", "3 odd", "4 even"] {
        client.publish("a", None, body.as_bytes()).await.unwrap();
    }
    assert_eq!(client.message().await.unwrap().body, "2 even");
    assert_eq!(client.message().await.unwrap().body, "4 even");
    assert_eq!(proxy.lost(), 2);
}

#[tokio::test]
async fn losses_for_a_while_end_by_themselves() {
    let (_server, proxy) = server_and_proxy().await;
    let mut client = RawClient::connect(proxy.address()).await.unwrap();
    client.subscribe("a", "1").await.unwrap();
    proxy.lose_for(A_MOMENT);
    client.publish("a", None, b"lost").await.unwrap();
    wait_until(SOON, "the loss", async || (proxy.lost() > 0).then_some(())).await;

    // What was sent before the end of the time is lost, so some is sent until one arrives.
    let deadline = Instant::now() + SOON;
    let arrived = loop {
        client.publish("a", None, b"arrives").await.unwrap();
        if let Ok(message) = timeout(Duration::from_millis(50), client.message()).await {
            break message.unwrap();
        }
        assert!(Instant::now() < deadline, "the losses never ended");
    };
    assert_eq!(arrived.body, "arrives");
}

#[tokio::test]
async fn a_client_reconnects_through_the_proxy_after_a_restart_of_the_server() {
    let (server, proxy) = server_and_proxy().await;
    let client = async_nats::connect(proxy.url()).await.unwrap();
    server.kill();
    wait_until(SOON, "the cut connection", async || (proxy.connections().await == 0).then_some(())).await;
    server.restart().await.unwrap();
    wait_until(SOON, "the client to come back", async || client.flush().await.ok()).await;
}

#[tokio::test]
async fn a_stopped_proxy_is_gone() {
    let (_server, proxy) = server_and_proxy().await;
    let address = proxy.address();
    let mut client = RawClient::connect(address).await.unwrap();
    proxy.stop().await;
    assert!(client.ping().await.is_err());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn malformed_headers_reach_subscribers_byte_for_byte() {
    let server = TestServer::start().await;
    let mut sender = RawClient::connect(server.address()).await.unwrap();
    let mut receiver = RawClient::connect(server.address()).await.unwrap();
    receiver.subscribe("a", "7").await.unwrap();
    receiver.ping().await.unwrap();

    let bad: [&[u8]; 5] = [b"A: b\rc", b"A: b\nc", b"no colon", b"A: \xff\xfe", b": no name"];
    for lines in bad {
        let block = header_block(lines);
        sender.hpub("a", Some("answer.here"), &block, b"body").await.unwrap();
        sender.ping().await.unwrap();
        let message = receiver.message().await.unwrap();
        assert_eq!((&message.headers[..], &message.body[..]), (&block[..], &b"body"[..]));
        assert_eq!((message.sid.as_str(), message.reply.as_deref()), ("7", Some("answer.here")));
    }
}

#[tokio::test]
async fn the_raw_client_hands_on_the_servers_complaints() {
    let server = TestServer::with(|server| server.user_and_password("alice", "secret").max_payload(100)).await;
    let refused = RawClient::connect_as(server.address(), "alice", "wrong").await.unwrap_err();
    assert!(refused.to_string().contains("Authorization Violation"), "{refused}");

    let mut client = RawClient::connect_as(server.address(), "alice", "secret").await.unwrap();
    assert_eq!(client.info()["max_payload"], 100);
    client.publish("a", None, &[0; 101]).await.unwrap();
    let refused = client.ping().await.unwrap_err();
    assert!(refused.to_string().contains("Maximum Payload Violation"), "{refused}");
}

#[tokio::test]
async fn messages_that_come_before_a_pong_are_kept() {
    let server = TestServer::start().await;
    let mut client = RawClient::connect(server.address()).await.unwrap();
    client.subscribe("a", "1").await.unwrap();
    client.publish("a", None, b"first\r\nPONG\r\n").await.unwrap();
    client.publish("a", None, b"second").await.unwrap();
    client.ping().await.unwrap();
    assert_eq!(client.message().await.unwrap().body, "first\r\nPONG\r\n");
    assert_eq!(client.message().await.unwrap().body, "second");
}
