use headwater_nats_messaging::router::{Context as C, Router};

async fn crowded(_: C, _: C, _: C, _: C, _: C, _: C, _: C, _: C, _: C) {}

fn main() {
    let _: Router = Router::new().on_event("orders.*", crowded);
}
