//! A service whose schemas break what released versions promised does not start, in each mode by its own measure, and the
//! message names what breaks.

use headwater::evolution::{Compatibility, SchemaLock};
use headwater::nats::connect::Connection;
use headwater::service::Service;
use headwater::store::MemoryStore;
use headwater_tests::Site;
use sample_receipts::domain::Receipt;
use sample_receipts::{SERVICE, VERSION};
use serde_json::{Value, json};

use Compatibility::{Backward, Forward, Full, Off};

const COMMITTED: &str = include_str!("../../crates/sample-receipts/schema.lock.json");

/// Starts an instance against the committed lock as it would be if something else had been promised. The error, if it does
/// not start.
async fn start(site: &Site, mode: Compatibility, promised: &dyn Fn(&mut Value)) -> Result<(), String> {
    let mut lock: Value = serde_json::from_str(COMMITTED).unwrap();
    promised(&mut lock["aggregates"]["receipt"]);
    let lock = SchemaLock::from_json(&lock.to_string()).unwrap();
    let connection = Connection::connect(&site.config()).await.unwrap();
    let service = Service::builder(SERVICE, VERSION).aggregate::<Receipt>().store(MemoryStore::new());
    match service.schema_lock(lock, mode).start(connection).await {
        Ok(running) => {
            running.drain().await;
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_service_starts_on_the_promises_that_its_mode_asks_for_and_no_others() {
    let site = Site::open().await;
    let kept = |_: &mut Value| {};
    // Callers of the release before may leave the quantity out, and today's code insists on it.
    let asks_for_more = |receipt: &mut Value| {
        let required = receipt["commands"]["add-item"]["required"].as_array_mut().unwrap();
        required.retain(|name| name != "quantity");
    };
    // The release before insists on a member that today's callers do not send.
    let sends_less = |receipt: &mut Value| {
        let command = &mut receipt["commands"]["void"];
        command["properties"]["witness"] = json!({ "type": "string" });
        let required = command.as_object_mut().unwrap().entry("required").or_insert_with(|| json!([]));
        required.as_array_mut().unwrap().push(json!("witness"));
        command["additionalProperties"] = json!(true);
    };
    // An event that is stored cannot be read any more.
    let forgets_an_event = |receipt: &mut Value| {
        receipt["events"]["item-added"]["1"]["properties"]["quantity"] = json!({ "type": "string" });
    };
    for mode in [Backward, Forward, Full, Off] {
        start(&site, mode, &kept).await.unwrap_or_else(|error| panic!("{mode:?}: {error}"));

        let asks_for_more = start(&site, mode, &asks_for_more).await;
        if matches!(mode, Backward | Full) {
            let told = asks_for_more.unwrap_err();
            assert!(told.contains("add-item") && told.contains("quantity"), "{mode:?}: {told}");
        } else {
            asks_for_more.unwrap_or_else(|error| panic!("{mode:?}: {error}"));
        }
        let sends_less = start(&site, mode, &sends_less).await;
        if matches!(mode, Forward | Full) {
            let told = sends_less.unwrap_err();
            assert!(told.contains("void") && told.contains("witness"), "{mode:?}: {told}");
        } else if mode == Off {
            sends_less.unwrap_or_else(|error| panic!("{mode:?}: {error}"));
        }
        let forgets = start(&site, mode, &forgets_an_event).await;
        if mode == Off {
            forgets.unwrap_or_else(|error| panic!("{mode:?}: {error}"));
        } else {
            let told = forgets.unwrap_err();
            assert!(told.contains("item-added") && told.contains("/quantity"), "{mode:?}: {told}");
        }
    }
}
