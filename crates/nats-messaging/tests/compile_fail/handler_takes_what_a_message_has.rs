use headwater_nats_messaging::router::{Context, Router};

async fn priced(_price: u64, _context: Context) {}

fn main() {
    let _: Router = Router::new().on_event("orders.price.*", priced);
}
