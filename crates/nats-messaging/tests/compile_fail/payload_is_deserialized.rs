use headwater_nats_messaging::router::{Payload, Router};

struct Price;

async fn priced(Payload(_price): Payload<Price>) {}

fn main() {
    let _: Router = Router::new().on_event("orders.price.*", priced);
}
