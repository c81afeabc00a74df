//! Names that are there twice.

use std::collections::HashMap;

use crate::topology::mistakes::Found;
use crate::topology::read::Draft;

pub(super) fn check(draft: &Draft, found: &mut Found) {
    let mut streams = HashMap::new();
    for stream in &draft.streams {
        let place = stream.places.of("name");
        if let Some(first) = streams.insert(&stream.name, place) {
            let message = format!("there is a stream {:?} already, in line {}", stream.name, first.line);
            found.add(place, format!("{}.name", stream.label()), message);
        }
    }
    let mut consumers = HashMap::new();
    for consumer in &draft.consumers {
        let place = consumer.places.of("name");
        if let Some(first) = consumers.insert((&consumer.stream, &consumer.name), place) {
            let message =
                format!("stream {:?} has a consumer of that name already, in line {}", consumer.stream, first.line);
            found.add(place, format!("{}.name", consumer.label()), message);
        }
    }
}
