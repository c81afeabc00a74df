use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(format!("sample-receipts {line}").split_whitespace())
}

fn client(line: &str) -> ClientArguments {
    match parse(line).unwrap().action {
        Some(Action::Client(arguments)) => arguments,
        other => panic!("{line} is a call of the client, not {other:?}"),
    }
}

#[test]
fn the_command_line_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn without_arguments_it_is_the_demo() {
    let arguments = parse("").unwrap();
    assert!(arguments.action.is_none() && !arguments.in_process);
    assert!(parse("--in-process").unwrap().in_process);
    assert!(parse("--in-process serve").is_err());
}

#[test]
fn a_service_has_one_instance_and_a_durable_store_unless_said_otherwise() {
    let Some(Action::Serve(serve)) = parse("serve").unwrap().action else { panic!("it serves") };
    assert_eq!((serve.instances.get(), serve.store), (1, StoreChoice::Jetstream));
    assert_eq!((serve.nats.nats_url, serve.queue_group, serve.probes, serve.replicas), (None, None, None, 1));
    let line = "serve --instances 3 --queue-group tills --store memory --replicas 3 --nats-url nats://one:4222";
    let Some(Action::Serve(serve)) = parse(line).unwrap().action else { panic!("it serves") };
    assert_eq!((serve.instances.get(), serve.store, serve.replicas), (3, StoreChoice::Memory, 3));
    assert_eq!(serve.nats.nats_url.as_deref(), Some("nats://one:4222"));
    assert!(parse("serve --instances 0").is_err());
    assert!(parse("serve --replicas 0").is_err() && parse("serve --replicas 6").is_err());
    assert!(parse("serve --probes localhost").is_err());
}

#[test]
fn features_of_the_service_are_off_unless_asked_for() {
    let Some(Action::Serve(serve)) = parse("serve").unwrap().action else { panic!("it serves") };
    assert!(serve.features.rate_limit.is_none() && !serve.features.circuit_breaker);
    let line = "serve --rate-limit 100/s+20 --circuit-breaker";
    let Some(Action::Serve(serve)) = parse(line).unwrap().action else { panic!("it serves") };
    assert!(serve.features.rate_limit.is_some() && serve.features.circuit_breaker);
    assert!(parse("serve --rate-limit 100").is_err());
}

#[test]
fn options_of_every_call_stand_before_or_after_its_name() {
    for line in ["client --json --timeout 2s get order-1", "client get order-1 --json --timeout 2s"] {
        let arguments = client(line);
        assert!(arguments.json);
        assert_eq!(arguments.timeout.as_secs(), 2);
    }
}

#[test]
fn a_command_takes_its_payload_by_flags() {
    let line = "client add-item order-1 --name Tea --price 2.50 --quantity 3 --expected-revision 0 --command-id till-1";
    let ClientAction::AddItem { id, name, price, quantity, options } = client(line).action else { panic!("{line}") };
    assert_eq!((id.as_str(), name.as_str(), price.to_string().as_str(), quantity), ("order-1", "Tea", "2.50", 3));
    assert_eq!(options.expected_revision.map(|revision| revision.get()), Some(0));
    assert_eq!(options.command_id.map(|id| id.to_string()).as_deref(), Some("till-1"));
}

#[test]
fn several_items_come_by_flags_or_from_a_file() {
    let ClientAction::AddItems { items, .. } = client("client add-items order-1 --item Tea=1x2 --item Bag=0").action
    else {
        panic!("items are added")
    };
    assert_eq!(items.len(), 2);
    assert!(parse("client add-items order-1 --file items.json").is_ok());
    assert!(parse("client add-items order-1").is_err(), "nothing to add");
    assert!(parse("client add-items order-1 --item Tea=1 --file items.json").is_err(), "two sources");
}

#[test]
fn what_makes_no_sense_is_a_matter_of_usage() {
    for line in [
        "client",
        "client add-item",
        "client add-item order-1 --name Tea",
        "client add-item order-1 --name Tea --price -1",
        "client add-item order-1 --name Tea --price 5.999",
        "client add-item order-1 --name Tea --price 5 --quantity many",
        "client get order-1 --at-revision one",
        "client get order-1 --at-revision 1 --at-time 2026-01-01T00:00:00Z",
        "client get order-1 --at-time yesterday",
        "client get order-1 --timeout 5",
        "client get order-1 --timeout 0s",
        "client nonsense",
        "nats-server --port 0",
        "schema-lock --check schema.lock.json --write schema.lock.json",
        "schema-lock --compatibility both",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn help_and_version_are_there() {
    assert_eq!(parse("--help").unwrap_err().kind(), ErrorKind::DisplayHelp);
    assert_eq!(parse("--version").unwrap_err().kind(), ErrorKind::DisplayVersion);
}
