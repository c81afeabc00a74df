use headwater_nats_messaging::router::{Payload, Router};

async fn doubled(Payload(number): Payload<u64>) -> u64 {
    2 * number
}

fn main() {
    let _: Router = Router::new().on_message("numbers.double", doubled);
}
