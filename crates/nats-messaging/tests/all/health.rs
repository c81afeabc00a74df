//! What happens to consumers behind a processor's back, and who is told. In memory, with paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_nats::telemetry::names;
use headwater_nats_messaging::consume::{ConsumerConfig, Deliver, Delivery};
use headwater_nats_messaging::health::{HealthChange, HealthSettings, HealthState};
use headwater_nats_messaging::processing::{AfterLast, Key, Processing, Processor};
use headwater_nats_messaging::router::handler::Outcome;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use tokio::time::sleep;

use crate::support::measured::Meter;
use crate::support::working::{
    Function, Notes, body, broker, info, mailer, noting, poison, quick, start, store_all, until,
};

const SOON: Duration = Duration::from_secs(60);

fn told() -> (Arc<Mutex<Vec<HealthChange>>>, HealthSettings) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = told.clone();
    let settings = HealthSettings::default().interval(Duration::from_secs(1));
    (told, settings.on_change(move |_, change| hook.lock().unwrap().push(*change)))
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_was_deleted_is_made_anew_where_it_was_and_nothing_is_lost_or_handled_twice() {
    for order in [None, Some(Key::token(1))] {
        let broker = broker();
        let (told, health) = told();
        let (notes, slow) = (Notes::default(), Notes::default());
        let (noted, begun) = (notes.clone(), slow.clone());
        let handler = Function(move |delivery: Arc<Delivery>| {
            let (noted, begun) = (noted.clone(), begun.clone());
            async move {
                if body(&delivery) == "slow" {
                    begun.note(&delivery);
                    sleep(Duration::from_secs(20)).await;
                }
                noted.note(&delivery);
                Outcome::Done
            }
        });
        store_all(&broker, [("a", "1"), ("a", "2"), ("b", "slow"), ("c", "3")]).await;
        let mut settings = quick().health(health);
        if let Some(key) = order {
            settings = settings.in_order_by(key);
        }
        let running = start(&broker, settings, handler).await;
        until("three are handled", || running.stats().handled == 3 && slow.len() == 1).await;
        sleep(Duration::from_secs(2)).await;
        assert!(broker.delete_consumer("ORDERS", "mailer"));
        store_all(&broker, [("a", "4")]).await;
        until("it is made anew", || running.stats().recreated == 1).await;
        until("all are handled", || running.stats().handled == 5).await;
        sleep(Duration::from_secs(60)).await;
        assert!(notes.counts().values().all(|times| *times == 1), "{:?}", notes.all());
        assert_eq!(slow.len(), 1, "what was being handled is not begun again");
        let told = told.lock().unwrap().clone();
        let expected = [HealthChange::Lost, HealthChange::Recreated { from: Some(3), stream_is_new: false }];
        assert_eq!(told, expected, "after the last that was acknowledged with all before it");
        running.shutdown(SOON).await;
        assert_eq!(info(&broker).await.ack_floor, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_deleted_and_made_anew_is_read_from_its_beginning() {
    let broker = broker();
    let (told, health) = told();
    let notes = Notes::default();
    let running = start(&broker, quick().health(health), noting(&notes)).await;
    store_all(&broker, [("a", "1"), ("a", "2"), ("a", "3")]).await;
    until("they are handled", || running.stats().handled == 3).await;
    sleep(Duration::from_secs(2)).await;
    assert!(broker.delete_stream("ORDERS"));
    until("it is missed", || running.health().state == HealthState::Lost).await;
    sleep(Duration::from_secs(30)).await;
    broker.stream("ORDERS", ["orders.>"]).unwrap();
    store_all(&broker, [("a", "4"), ("a", "5")]).await;
    until("what is new is handled", || running.stats().handled == 5).await;
    assert_eq!(notes.all(), ["1", "2", "3", "4", "5"]);
    let told = told.lock().unwrap().clone();
    assert_eq!(told, [HealthChange::Lost, HealthChange::Recreated { from: None, stream_is_new: true }]);
    running.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_of_what_is_new_that_was_made_anew_misses_nothing_from_in_between() {
    let broker = broker();
    let notes = Notes::default();
    store_all(&broker, [("a", "old")]).await;
    let config = ConsumerConfig { deliver: Deliver::New, ..mailer() };
    let settings = quick().health(HealthSettings::default().interval(Duration::from_secs(1)));
    let running = Processor::new(broker.clone(), config.clone(), noting(&notes)).settings(settings);
    let running = running.start().await.unwrap();
    sleep(Duration::from_secs(2)).await;
    broker.delete_consumer("ORDERS", "mailer");
    store_all(&broker, [("a", "new")]).await;
    until("it is handled", || running.stats().handled == 1).await;
    running.shutdown(SOON).await;
    let again = Processor::new(broker.clone(), config, noting(&notes)).start().await.unwrap();
    store_all(&broker, [("a", "newer")]).await;
    until("it goes on as it was declared", || again.stats().handled == 1).await;
    assert_eq!(notes.all(), ["new", "newer"]);
    again.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_and_does_not_get_on_is_told_as_stalled_and_as_recovered() {
    let broker = broker();
    let (told, health) = told();
    let handler = Function(|_| async {
        sleep(Duration::from_secs(100)).await;
        Outcome::Done
    });
    let settings = Processing::default().concurrency(1).health(health.stalled_after(Duration::from_secs(30)));
    store_all(&broker, [("a", "1")]).await;
    let running = start(&broker, settings, handler).await;
    until("it stalls", || running.health().state == HealthState::Stalled).await;
    assert_eq!((running.health().ack_pending, running.health().pending), (1, 0));
    until("it is handled", || running.stats().handled == 1).await;
    until("it recovers", || running.health().state == HealthState::Working).await;
    let told = told.lock().unwrap().clone();
    assert!(matches!(told[..], [HealthChange::Stalled(_), HealthChange::Recovered]), "{told:?}");
    running.shutdown(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_processed_and_how_the_consumer_fares_is_recorded_by_stream_and_consumer_and_never_by_subject() {
    let meter = Meter::new();
    let broker = broker();
    let (_, health) = told();
    store_all(&broker, [("customer-7", "1"), ("customer-7", "2"), ("customer-7", "bad")]).await;
    let handler = Function(|delivery: Arc<Delivery>| async move {
        if body(&delivery) == "bad" { poison("no") } else { Outcome::Done }
    });
    let settings = quick().after_last(AfterLast::Discard).health(health).telemetry(meter.telemetry());
    let running = start(&broker, settings, handler).await;
    until("all are done", || running.stats().handled == 2 && running.stats().discarded == 1).await;
    broker.delete_consumer("ORDERS", "mailer");
    until("it is made anew", || running.stats().recreated == 1).await;
    let measured = meter.read();
    let outcomes = measured.outcomes(names::PROCESS_DURATION);
    assert_eq!(outcomes, [("given-up".to_owned(), 1), ("ok".to_owned(), 2)]);
    assert_eq!(measured.sum(names::CONSUMER_INCIDENTS), 2, "lost and recreated");
    let AggregatedMetrics::U64(MetricData::Gauge(pending)) = measured.find(names::CONSUMER_PENDING) else { panic!() };
    let point = pending.data_points().next().unwrap();
    let labels: Vec<_> = point.attributes().map(|label| label.value.as_str().into_owned()).collect();
    assert!(labels.contains(&"ORDERS".to_owned()) && labels.contains(&"mailer".to_owned()), "{labels:?}");
    running.shutdown(SOON).await;
}
