use headwater_nats_messaging::router::Router;

async fn counted() -> u64 {
    7
}

fn main() {
    let _: Router = Router::new().on_event("orders.*", counted);
}
