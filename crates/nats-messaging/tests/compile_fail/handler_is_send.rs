use std::rc::Rc;

use headwater_nats_messaging::router::Router;

async fn slow() {
    let held = Rc::new(());
    std::future::ready(()).await;
    drop(held);
}

fn main() {
    let _: Router = Router::new().on_event("orders.*", slow);
}
