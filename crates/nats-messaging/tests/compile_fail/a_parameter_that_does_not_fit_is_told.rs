use headwater_nats_messaging::router::{Payload, State, fits};

struct Price;

const _: () = fits::<u64, ()>();
const _: () = fits::<Payload<Price>, ()>();
const _: () = fits::<State<u64>, String>();

fn main() {}
