use headwater_nats_messaging::router::{Router, State};

#[derive(Clone)]
struct Prices;

async fn priced(State(_prices): State<Prices>) {}

fn main() {
    let _ = Router::<String>::new().on_event("orders.price.*", priced);
}
