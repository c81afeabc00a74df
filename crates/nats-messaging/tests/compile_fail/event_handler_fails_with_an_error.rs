use headwater_nats_messaging::router::Router;

struct NoError;

async fn counted() -> Result<(), NoError> {
    Err(NoError)
}

fn main() {
    let _: Router = Router::new().on_event("orders.*", counted);
}
