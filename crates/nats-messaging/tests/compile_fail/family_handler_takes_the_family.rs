use headwater_nats_messaging::family::EventFamily;
use headwater_nats_messaging::router::Router;

#[derive(EventFamily)]
enum TillEvent {
    #[event(name = "till.closed")]
    Closed,
}

async fn noted(_event: &TillEvent) {}

fn main() {
    let _: Router = Router::new().on_family::<TillEvent, _>(noted);
}
