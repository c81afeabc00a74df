//! Auth from end to end: clients that sign, tenants in one journal, replies that get lost.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::time::Duration;

use headwater::CommandId;
use headwater::client::{Credentials, ExecuteError, RetryPolicy};
use headwater::nats::signature::Signer;
use headwater::service::auth::{Auth, NkeyUser, Nkeys, Rule};
use headwater_tests::{Instance, Site};
use sample_receipts::domain::{AddItem, ReceiptClient, Void};

const TENANTS: [&str; 2] = ["north", "south.eu"];

/// A till of each tenant.
struct Tills {
    seeds: BTreeMap<&'static str, String>,
}

impl Tills {
    fn new() -> Self {
        let seed = || nkeys::KeyPair::new_user().seed().unwrap();
        Self { seeds: TENANTS.map(|tenant| (tenant, seed())).into() }
    }

    fn signer(&self, tenant: &str) -> Signer {
        Signer::from_seed(&self.seeds[tenant]).unwrap()
    }

    fn credentials(&self, tenant: &str) -> Credentials {
        Credentials::nkey(self.signer(tenant))
    }

    /// An instance that knows the tills and keeps their tenants apart.
    async fn instance(&self, site: &Site) -> Instance {
        let user = |tenant: &str| {
            NkeyUser::new(self.signer(tenant).public_key(), format!("till of {tenant}")).tenant(tenant).role("till")
        };
        let nkeys = TENANTS.into_iter().fold(Nkeys::default(), |nkeys, tenant| nkeys.allow(user(tenant)));
        let rule = Rule::allow().commands(["receipt.add-item"]).queries(["receipt.*"]).role("till");
        let auth = Auth::default().nkeys(nkeys).roles(["till"]).rule(rule).tenants(true);
        site.starting().service(|service| service.auth(auth).snapshot_every(2)).start().await
    }

    async fn client(&self, site: &Site, tenant: &str) -> ReceiptClient {
        site.receipts_with(|client| client.credentials(self.credentials(tenant))).await
    }
}

fn item(name: &str) -> AddItem {
    AddItem { name: name.to_owned(), price: "2.50".parse().unwrap(), quantity: 1 }
}

#[track_caller]
fn check_refused<R: std::fmt::Debug>(error: &ExecuteError<R>, number: u16) {
    let ExecuteError::Call(call) = error else { panic!("{error:?}") };
    assert_eq!(call.failure().unwrap().code.number(), number, "{error:?}");
}

#[tokio::test]
async fn tenants_have_receipts_of_their_own_in_one_journal_that_outlive_the_instance() {
    let (site, tills) = (Site::open().await, Tills::new());
    let first = tills.instance(&site).await;
    let mut ids = BTreeMap::new();
    for (tenant, count) in TENANTS.into_iter().zip(1..) {
        let receipts = tills.client(&site, tenant).await;
        for turn in 0..count * 2 {
            let done = receipts.add_item("order-1", item(&format!("{tenant} {turn}"))).await.unwrap();
            ids.insert(tenant, (done.command_id.clone(), format!("{tenant} {turn}")));
        }
        check_refused(&receipts.void("order-1", Void { reason: "no".to_owned() }).await.unwrap_err(), 403);
    }
    let nobody = site.receipts().await;
    check_refused(&nobody.add_item("order-1", item("Tea")).await.unwrap_err(), 401);
    first.service.drain().await;

    let stored = site.journal().await.all().await;
    let tokens: Vec<_> = stored.iter().map(|event| event.token().to_owned()).collect();
    assert_eq!(tokens.iter().filter(|token| *token == "north=order-1").count(), 2);
    assert_eq!(tokens.iter().filter(|token| *token == "south%2Eeu=order-1").count(), 4);
    assert_eq!(stored.len(), 6);
    for event in &stored {
        let tenant = event.text("tenantid");
        assert_eq!(event.text("userid"), format!("till of {tenant}"));
        assert_eq!(event.text("subject"), "order-1");
    }

    let _second = tills.instance(&site).await;
    for (tenant, lines) in TENANTS.into_iter().zip([2, 4]) {
        let receipts = tills.client(&site, tenant).await;
        let entity = receipts.get("order-1").await.unwrap();
        assert_eq!((entity.revision.get(), entity.state.items.len()), (lines as u64, lines), "{tenant}");
        assert!(entity.state.items.iter().all(|line| line.name.starts_with(tenant)));
        let (id, name) = ids[tenant].clone();
        let again = receipts.add_item("order-1", item(&name)).command_id(id).await.unwrap();
        assert!(again.replayed && again.revision.get() == lines as u64, "{tenant}");
    }
}

#[tokio::test]
async fn a_signed_command_whose_reply_is_lost_is_signed_anew_and_has_no_second_effect() {
    let (site, tills) = (Site::open().await, Tills::new());
    let _instance = tills.instance(&site).await;
    let proxy = site.proxy().await;
    let (retry, credentials) = (RetryPolicy::default().attempts(3), tills.credentials("north"));
    let set = |client: headwater::client::NatsClientBuilder| {
        client.retry(retry).timeout(Duration::from_secs(6)).credentials(credentials)
    };
    let receipts = site.receipts_by(&proxy, set).await;
    receipts.add_item("order-1", item("Tea")).await.unwrap();
    proxy.lose_next(1);
    let done = receipts.add_item("order-1", item("Coffee")).command_id(CommandId::generate()).await.unwrap();
    assert!(done.replayed && done.revision.get() == 2, "the first try took effect, and the second told so");
    assert_eq!(proxy.lost(), 1);
    assert_eq!(site.journal().await.count().await, 2);
}
