//! Section 1: names are checked when a service is built, and every bad one is named.

use headwater::description::Describe;
use headwater::nats::connect::Connection;
use headwater::service::{Service, StartError};
use headwater::store::MemoryStore;
use headwater::{AggregateType, DescribeError};
use headwater_tests::Site;
use sample_receipts::domain::Receipt;

/// Breaks the rule `^[a-z][a-z0-9-]{0,49}$`, each in another way.
const BAD: [&str; 9] = ["", "Receipts", "1st", "-a", "a_b", "a.b", "a b", "é", "a\n"];
const LONGEST: &str = "a2345678901234567890123456789012345678901234567890";
const TOO_LONG: &str = "a23456789012345678901234567890123456789012345678901";

async fn start(name: &str, version: &str, site: &Site) -> Result<(), StartError> {
    let connection = Connection::connect(&site.config()).await.unwrap();
    let service = Service::builder(name, version).aggregate::<Receipt>().store(MemoryStore::new());
    service.start(connection).await.map(drop)
}

#[tokio::test]
async fn a_bad_service_name_is_refused_before_anything_is_sent() {
    let site = Site::open().await;
    for name in BAD.into_iter().chain([TOO_LONG]) {
        let refused = start(name, "1.0.0", &site).await.unwrap_err();
        let [problem] = refused.problems() else { panic!("{refused}") };
        assert_eq!((problem.setting.as_str(), problem.value.as_str()), ("name", name), "{refused}");
        assert!(refused.to_string().contains("^[a-z][a-z0-9-]{0,49}$"), "{refused}");
    }
    start(LONGEST, "1.0.0", &site).await.unwrap();
}

#[tokio::test]
async fn a_service_version_that_is_not_semver_is_refused() {
    let site = Site::open().await;
    for version in ["", "1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-", "latest"] {
        let refused = start("receipts", version, &site).await.unwrap_err();
        let [problem] = refused.problems() else { panic!("{refused}") };
        assert_eq!((problem.setting.as_str(), problem.value.as_str()), ("version", version), "{refused}");
    }
    for version in ["0.0.0", "1.2.3-rc.1", "1.2.3+build.5", "1.2.3-rc.1+build.5"] {
        start("receipts", version, &site).await.unwrap();
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let refused = start("Receipts", "one", &Site::open().await).await.unwrap_err();
    let settings: Vec<_> = refused.problems().iter().map(|problem| problem.setting.as_str()).collect();
    assert_eq!(settings, ["name", "version"]);
}

/// An aggregate type whose every name is given; by hand, since the macro refuses bad names at compile time.
macro_rules! aggregate_named {
    ($room:ident, $kind:expr, $command:expr, $event:expr, $query:expr) => {
        mod $room {
            use headwater::{
                Aggregate, AggregateId, Answer, Command, CommandContext, Decide, DecodeError, Event, EventType,
                NeverRejected, Query,
            };
            use schemars::JsonSchema;
            use serde::{Deserialize, Serialize};

            #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
            pub(super) struct Thing {}
            #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
            pub(super) struct Do {}
            #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
            pub(super) struct Ask {}
            #[derive(Debug, Clone)]
            pub(super) struct Done;

            impl Command for Do {
                const NAME: &'static str = $command;
            }

            impl Query for Ask {
                const NAME: &'static str = $query;
                type Answer = bool;
            }

            impl Event for Done {
                fn types() -> Vec<EventType> {
                    vec![EventType { name: $event, schema_version: 1, schema: |g| g.subschema_for::<()>() }]
                }

                fn name(&self) -> &'static str {
                    $event
                }

                fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
                    Ok(b"null".to_vec())
                }

                fn decode(_: &str, _: &[u8]) -> Result<Self, DecodeError> {
                    Ok(Self)
                }
            }

            impl Aggregate for Thing {
                const TYPE: &'static str = $kind;
                type Event = Done;
                type Rejection = NeverRejected;

                fn init(_: &AggregateId) -> Self {
                    Self {}
                }

                fn evolve(&mut self, _: &Done) {}
            }

            impl Decide<Do> for Thing {
                fn decide(&self, _: Do, _: &CommandContext) -> Result<Vec<Done>, NeverRejected> {
                    Ok(vec![Done])
                }
            }

            impl Answer<Ask> for Thing {
                fn answer(&self, _: Ask) -> bool {
                    true
                }
            }
        }
    };
}

aggregate_named!(good, "thing", "do", "done", "ask");
aggregate_named!(longest, super::LONGEST, super::LONGEST, super::LONGEST, super::LONGEST);
aggregate_named!(bad_kind, "Thing", "do", "done", "ask");
aggregate_named!(bad_command, "thing", "do it", "done", "ask");
aggregate_named!(bad_event, "thing", "do", "wasDone", "ask");
aggregate_named!(bad_query, "thing", "do", "done", "ask.it");
aggregate_named!(too_long, super::TOO_LONG, "do", "done", "ask");

macro_rules! described {
    ($room:ident) => {
        Describe::<$room::Thing>::new().command::<$room::Do>().query::<$room::Ask>().build()
    };
}

#[test]
fn a_bad_name_in_an_aggregate_is_named_with_what_it_names() {
    let cases: [(Result<AggregateType, DescribeError>, &str, &str); 5] = [
        (described!(bad_kind), "aggregate type", "Thing"),
        (described!(bad_command), "command", "do it"),
        (described!(bad_event), "event", "wasDone"),
        (described!(bad_query), "query", "ask.it"),
        (described!(too_long), "aggregate type", TOO_LONG),
    ];
    for (described, field, value) in cases {
        let refused = described.unwrap_err();
        let named = |problem: &&String| problem.starts_with(field) && problem.contains(&format!("`{value}`"));
        assert!(refused.problems().iter().any(|problem| named(&problem)), "{refused}");
    }
    described!(good).unwrap();
    described!(longest).unwrap();
}

#[tokio::test]
async fn a_service_with_a_bad_name_within_does_not_start() {
    let connection = Connection::connect(&Site::open().await.config()).await.unwrap();
    let service = Service::builder("things", "1.0.0").store(MemoryStore::new());
    let refused = service.aggregate::<Misnamed>().start(connection).await.unwrap_err();
    assert!(refused.to_string().contains("`do it`"), "{refused}");
}

type Misnamed = bad_command::Thing;

impl headwater::Described for Misnamed {
    type Env = ();

    fn describe(_: std::sync::Arc<()>) -> Describe<Self> {
        Describe::new().command::<bad_command::Do>()
    }
}
