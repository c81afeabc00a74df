use headwater_nats_messaging::router::{Payload, Router};

fn priced(Payload(_price): Payload<u64>) {}

fn main() {
    let _: Router = Router::new().on_event("orders.price.*", priced);
}
