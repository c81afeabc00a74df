//! The receipts program with telemetry on, and a till that calls it and reads its events: two programs, whose spans meet in
//! one collector.

use std::collections::HashMap;
use std::time::Duration;

use headwater::client::ReaderSpans;
use headwater::telemetry::Setup;
use headwater_testkit::{TestServer, wait_until};
use headwater_tests::{Program, Site};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;

use super::collector::Collector;
use super::{ADDED, FINALIZED, SOON, client, closer, coffee};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sample-receipts-under-test");

/// How the spans hang together: each with its service, kind and name, and its depth beneath the first.
fn tree(spans: &[(String, Span)]) -> Vec<String> {
    let mut children: HashMap<&[u8], Vec<&(String, Span)>> = HashMap::new();
    for named in spans {
        children.entry(&named.1.parent_span_id).or_default().push(named);
    }
    let mut lines = Vec::new();
    let mut stack: Vec<_> = children.get([].as_slice()).into_iter().flatten().map(|root| (0, *root)).collect();
    while let Some((depth, (service, span))) = stack.pop() {
        let kind = SpanKind::try_from(span.kind).unwrap().as_str_name().trim_start_matches("SPAN_KIND_").to_lowercase();
        lines.push(format!("{}{service} {kind} {}", "  ".repeat(depth), span.name));
        let mut beneath = children.get(span.span_id.as_slice()).cloned().unwrap_or_default();
        beneath.sort_by_key(|(_, span)| std::cmp::Reverse(span.start_time_unix_nano));
        stack.extend(beneath.into_iter().map(|child| (depth + 1, child)));
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_export_one_tree_of_spans_over_otlp() {
    let (site, collector) = (Site::open().await, Collector::start().await);
    let url = collector.url();
    let arguments =
        ["serve", "--nats-url", &site.url(), "--telemetry", "--log-format", "json", "--probes", "127.0.0.1:0"];
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let mut program = Program::start_with(PROGRAM, arguments, &variables);
    let ready = program.line().await;
    assert!(ready.starts_with("ready: "), "{ready}");
    let till = Setup::new("till").version("1.0.0").otlp_to(&url).prometheus().start().unwrap();
    let receipts = client(&site, till.settings()).await;
    let reader = closer(&site, till.settings().reader_spans(ReaderSpans::Child), receipts.clone()).await;
    receipts.add_item("order-1", coffee()).await.unwrap();
    wait_until(SOON, "both events handled", async || (reader.stats().handled == 2).then_some(())).await;
    assert!(till.metrics_page()().contains("rpc_client_call_duration_seconds_count"));
    reader.stop().await.unwrap();
    // The end sends what is left; asked for here on a thread that may wait.
    tokio::task::spawn_blocking(move || till.shutdown(Duration::from_secs(5))).await.unwrap().unwrap();
    program.terminate();
    let ended = program.ended().await;
    assert!(ended.status.success(), "{}", ended.errors);

    let spans = collector.spans();
    assert!(spans.iter().all(|(_, span)| span.trace_id == spans[0].1.trace_id), "{spans:#?}");
    let expected = [
        "till client receipt/add-item".to_owned(),
        "  receipts server receipt/add-item".to_owned(),
        "    receipts internal load receipt".to_owned(),
        "    receipts internal decide receipt/add-item".to_owned(),
        format!("    receipts producer publish {ADDED}"),
        format!("      till consumer process {ADDED}"),
        "        till client receipt/finalize".to_owned(),
        "          receipts server receipt/finalize".to_owned(),
        "            receipts internal decide receipt/finalize".to_owned(),
        format!("            receipts producer publish {FINALIZED}"),
        format!("              till consumer process {FINALIZED}"),
    ];
    assert_eq!(tree(&spans), expected);

    let metrics = collector.metrics();
    for (service, name) in [
        ("receipts", "rpc.server.call.duration"),
        ("receipts", "messaging.client.operation.duration"),
        ("receipts", "headwater.cache.lookups"),
        ("till", "rpc.client.call.duration"),
        ("till", "messaging.process.duration"),
    ] {
        assert!(metrics.iter().any(|metric| metric == &(service.to_owned(), name.to_owned())), "{service} {name}");
    }
    let lines: Vec<Value> = ended.errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "taking requests"), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_is_one_trace_over_otlp() {
    // Finding or fetching a server is not what is tried here.
    let (server, collector) = (TestServer::start().await, Collector::start().await);
    let (binary, url) = (server.binary().path().to_str().unwrap(), collector.url());
    let variables = [("NATS_SERVER_BIN", binary), ("OTEL_EXPORTER_OTLP_ENDPOINT", &url)];
    let program = Program::start_with(PROGRAM, ["--telemetry"], &variables);
    let ended = program.ended().await;
    assert!(ended.status.success(), "{}", ended.errors);

    let spans = collector.spans();
    let tree = tree(&spans);
    let whole = tree.join("\n");
    assert_eq!(tree.len(), spans.len(), "each span is beneath another that is there:\n{whole}");
    assert_eq!(tree.iter().filter(|line| !line.starts_with(' ')).collect::<Vec<_>>(), ["receipts-demo internal demo"]);
    let first = [
        "  receipts-demo client receipt/add-item".to_owned(),
        "    receipts server receipt/add-item".to_owned(),
        "      receipts internal load receipt".to_owned(),
        "      receipts internal decide receipt/add-item".to_owned(),
        format!("      receipts producer publish {ADDED}"),
    ];
    assert_eq!(tree[1..=first.len()], first, "{whole}");
    for asked in ["add-items", "remove-item", "finalize", "void", "get", "history"] {
        let served = format!("    receipts server receipt/{asked}");
        assert!(tree.contains(&served), "{served} is not in\n{whole}");
    }
}
