use headwater_nats_messaging::router::{Reply, Router};

struct Quote;

async fn quoted() -> Reply<Quote> {
    Reply(Quote)
}

fn main() {
    let _: Router = Router::new().on_message("orders.quote", quoted);
}
