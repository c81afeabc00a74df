//! The files for compose and Kubernetes: their command lines, health checks and probes are those of the program and the server.

use std::process::Command;
use std::time::Duration;

use headwater_testkit::TestServer;
use serde::Deserialize as _;
use serde_json::Value;

use super::run::{run, serve, stop};
use super::{repository, text};

fn yaml(path: &str) -> Vec<Value> {
    let text = text(path);
    let documents = serde_norway::Deserializer::from_str(&text);
    documents.map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{path}: {error}"))).collect()
}

fn compose() -> Value {
    yaml("deploy/compose.yaml").remove(0)
}

fn kubernetes(kind: &str) -> Value {
    let all = yaml("deploy/kubernetes/receipts.yaml");
    all.into_iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("there is no {kind}"))
}

fn container() -> Value {
    kubernetes("Deployment")["spec"]["template"]["spec"]["containers"][0].clone()
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// The longest the program takes from SIGTERM to its end, as its source has it.
fn longest_drain() -> Duration {
    let limits = [("service.rs", "DRAIN_WITHIN"), ("service.rs", "FLUSH_WITHIN"), ("telemetry.rs", "TELL_WITHIN")];
    let seconds = limits.map(|(file, name)| {
        let source = text(&format!("crates/sample-receipts/src/{file}"));
        let (_, rest) = source.split_once(&format!("const {name}: Duration = Duration::from_secs(")).unwrap();
        rest.split_once(')').unwrap().0.parse::<u64>().unwrap()
    });
    Duration::from_secs(seconds.iter().sum())
}

/// The port that the command line gives to the probes.
fn probes_port(arguments: &[&str]) -> String {
    let at = arguments.iter().position(|argument| *argument == "--probes").unwrap();
    arguments[at + 1].strip_prefix("0.0.0.0:").unwrap().to_owned()
}

#[tokio::test]
async fn the_program_understands_every_command_line() {
    let (compose, container) = (compose(), container());
    for arguments in [strings(&compose["services"]["receipts"]["command"]), strings(&container["args"])] {
        // What comes before --help is read before it.
        let output = run(arguments.iter().copied().chain(["--help"]), &vec![]).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let nonsense = run(["serve", "--replicas", "three", "--help"], &vec![]).await;
    assert!(!nonsense.status.success(), "a wrong command line would not be noticed");
}

#[test]
fn compose_waits_for_the_server_and_shares_its_settings() {
    let compose = compose();
    let (nats, receipts) = (&compose["services"]["nats"], &compose["services"]["receipts"]);
    assert_eq!(receipts["depends_on"]["nats"]["condition"], "service_healthy");
    for dependency in receipts["depends_on"].as_object().unwrap().keys() {
        assert!(compose["services"].get(dependency).is_some(), "{dependency} is no service");
    }
    assert_eq!(receipts["deploy"]["replicas"], 2);
    assert!(receipts.get("ports").is_none(), "two instances cannot have one port of the machine");
    for variable in ["NATS_USER", "NATS_PASSWORD"] {
        assert_eq!(nats["environment"][variable], receipts["environment"][variable]);
    }
    // A secret is asked for, and has no default.
    assert!(nats["environment"]["NATS_PASSWORD"].as_str().unwrap().starts_with("${NATS_PASSWORD:?"));
    // What is mounted is there, at the place that the command names.
    for service in ["nats", "otel-collector"] {
        let service = &compose["services"][service];
        let mounts = strings(&service["volumes"]);
        let file = mounts.iter().find(|mount| mount.ends_with(":ro")).unwrap();
        let [source, target, _] = file.split(':').collect::<Vec<_>>()[..] else { panic!("{file}") };
        assert!(repository("deploy").join(source).is_file(), "{source}");
        assert!(strings(&service["command"]).contains(&target), "{target}");
    }
    let build = &receipts["build"];
    let context = repository("deploy").join(build["context"].as_str().unwrap());
    assert!(context.join(build["dockerfile"].as_str().unwrap()).is_file());
}

#[test]
fn the_collector_has_every_part_its_pipelines_name_and_listens_where_the_service_sends() {
    let collector = yaml("deploy/otel-collector.yaml").remove(0);
    for signal in ["traces", "metrics"] {
        let pipeline = &collector["service"]["pipelines"][signal];
        for part in ["receivers", "processors", "exporters"] {
            let names = strings(&pipeline[part]);
            assert!(!names.is_empty());
            names.iter().for_each(|name| assert!(collector[part].get(name).is_some(), "{signal}: {part}: {name}"));
        }
    }
    let listens = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].as_str().unwrap();
    let (_, port) = listens.split_once(':').unwrap();
    let compose = compose();
    let sends = &compose["services"]["receipts"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"];
    assert_eq!(sends, &format!("http://otel-collector:{port}"));
}

#[test]
fn whoever_stops_an_instance_leaves_it_the_time_to_drain() {
    let spare = Duration::from_secs(10);
    let compose = compose();
    let grace = compose["services"]["receipts"]["stop_grace_period"].as_str().unwrap();
    let grace = Duration::from_secs(grace.strip_suffix('s').unwrap().parse().unwrap());
    assert!(grace >= longest_drain() + spare, "compose: {grace:?}");
    let pod = &kubernetes("Deployment")["spec"]["template"]["spec"];
    let grace = Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap());
    assert!(grace >= longest_drain() + spare, "kubernetes: {grace:?}");
}

#[test]
fn kubernetes_finds_its_pods_and_the_files_it_names() {
    let (deployment, budget, map) =
        (kubernetes("Deployment"), kubernetes("PodDisruptionBudget"), kubernetes("ConfigMap"));
    let pod = &deployment["spec"]["template"];
    let labels = &pod["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels);
    let anti = &pod["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(&anti["podAffinityTerm"]["labelSelector"]["matchLabels"], labels);

    let container = container();
    assert_eq!(container["envFrom"][0]["configMapRef"]["name"], map["metadata"]["name"]);
    let mount = &container["volumeMounts"][0];
    assert_eq!(mount["name"], pod["spec"]["volumes"][0]["name"]);
    for file in ["NATS_NKEY", "NATS_CA"] {
        assert!(map["data"][file].as_str().unwrap().starts_with(mount["mountPath"].as_str().unwrap()), "{file}");
    }
    assert!(kubernetes_kinds().iter().all(|kind| kind != "Secret"), "a secret is not kept in the repository");
    // The names of the nodes, as their certificates have them.
    let script = text("deploy/nats/cluster/make-certificates.sh");
    let nodes = map["data"]["NATS_URL"].as_str().unwrap().split(',');
    for node in nodes.map(|url| url.strip_prefix("tls://").unwrap().strip_suffix(":4222").unwrap()) {
        assert!(script.contains(node) && text("deploy/nats/cluster/common.conf").contains(node), "{node}");
    }
}

fn kubernetes_kinds() -> Vec<Value> {
    yaml("deploy/kubernetes/receipts.yaml").into_iter().map(|document| document["kind"].clone()).collect()
}

/// The service runs with the very command line and variables, but for addresses; then the checks are carried out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checks_of_compose_and_the_probes_of_kubernetes_are_answered() {
    let server = TestServer::with(|server| {
        let server = server.config_file(repository("deploy/nats/durable.conf"));
        server.variable("NATS_USER", "receipts").variable("NATS_PASSWORD", "p4ssword")
    })
    .await;
    let (compose, container) = (compose(), container());
    let (nats, receipts) = (&compose["services"]["nats"], &compose["services"]["receipts"]);
    let check = strings(&nats["healthcheck"]["test"]);
    let page = check.last().unwrap().strip_prefix("http://127.0.0.1:8222").unwrap();
    assert_eq!(server.monitor(page).await.unwrap()["status"], "ok");

    let arguments = strings(&receipts["command"]);
    let port = probes_port(&arguments);
    let arguments: Vec<_> =
        arguments.iter().map(|argument| if argument.contains(&port) { "127.0.0.1:0" } else { argument }).collect();
    let variables = vec![
        ("NATS_URL", server.url()),
        ("NATS_USER", "receipts".to_owned()),
        ("NATS_PASSWORD", "p4ssword".to_owned()),
        // Nobody listens there, and nobody is held up by that.
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9".to_owned()),
    ];
    let (service, ready) = serve(&arguments, &variables).await;
    let (_, address) = ready.split_once("probes at http://").unwrap();

    let [_, bash, flag, script] = strings(&receipts["healthcheck"]["test"])[..] else { panic!("CMD bash -c SCRIPT") };
    // Compose reads two dollars as one.
    let script = script.replace("$$", "$").replace(&format!("127.0.0.1/{port}"), &address.replace(':', "/"));
    let check = |script: &str| Command::new(bash).args([flag, script]).output().unwrap().status.success();
    let well = || check(&script);
    headwater_testkit::wait_until(Duration::from_secs(10), "the check of compose", async || well().then_some(())).await;

    let ports = &container["ports"][0];
    assert_eq!(ports["containerPort"].to_string(), probes_port(&strings(&container["args"])));
    for (probe, page) in [("startupProbe", "/startupz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")] {
        let get = &container[probe]["httpGet"];
        assert_eq!((&get["path"], &get["port"]), (&page.into(), &ports["name"]), "{probe}");
        assert!(check(&script.replace("/readyz", page)), "{page}");
    }
    stop(service).await;
    assert!(!well(), "nobody is there any more");
}
