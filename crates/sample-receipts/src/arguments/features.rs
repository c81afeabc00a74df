//! Features of the service that are off unless asked for.

use std::time::Duration;

use clap::Args;
use headwater::nats::connect::HumanDuration;
use headwater::service::auth::Auth;
use headwater::service::{CircuitBreaker, Rate, RateLimit, Service};
use serde::Deserialize;

/// Features of the service that are off unless asked for.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FeatureArguments {
    /// Take at most so many requests in so much time, such as 100/s or 300/1m, and answer 429 to the others; 100/s+20 lets
    /// at most 20 of them come at once. Each instance counts for itself
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) rate_limit: Option<Rate>,

    /// Leave the event store alone for a while when it fails or is slow, and answer 503 at once meanwhile
    #[arg(long)]
    pub(crate) circuit_breaker: bool,

    /// Ask who calls, and let them do only what a rule allows: a TOML file with a table [auth]
    #[arg(long, value_name = "FILE", value_parser = auth)]
    pub(crate) auth: Option<Box<Auth>>,
}

impl FeatureArguments {
    /// The service with the features that were asked for.
    pub(crate) fn switch_on(&self, mut service: Service) -> Service {
        if let Some(rate) = self.rate_limit {
            service = service.rate_limit(RateLimit::default().service(rate));
        }
        if self.circuit_breaker {
            service = service.circuit_breaker(CircuitBreaker::default());
        }
        if let Some(auth) = &self.auth {
            service = service.auth(Auth::clone(auth));
        }
        service
    }
}

/// Reads the table `auth` of a TOML file; the file's other tables are others' business.
fn auth(path: &str) -> Result<Box<Auth>, String> {
    #[derive(Deserialize)]
    struct File {
        auth: Box<Auth>,
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    toml::from_str(&text).map(|file: File| file.auth).map_err(|error| error.to_string())
}

/// Reads `COUNT/TIME` and `COUNT/TIME+BURST`. Whether the numbers make sense is checked when the service starts.
fn rate(text: &str) -> Result<Rate, String> {
    let malformed = || "a rate is written COUNT/TIME or COUNT/TIME+BURST, such as 100/s or 300/1m+20".to_owned();
    let (count, rest) = text.split_once('/').ok_or_else(malformed)?;
    let (time, burst) = rest.split_once('+').map_or((rest, None), |(time, burst)| (time, Some(burst)));
    let number = |text: &str| text.parse::<u32>().map_err(|_| malformed());
    let time =
        if time.starts_with(|first: char| first.is_ascii_digit()) { time.to_owned() } else { format!("1{time}") };
    let time: Duration = time.parse::<HumanDuration>().map_err(|_| malformed())?.get();
    let rate = Rate::new(number(count)?, time);
    Ok(match burst {
        Some(burst) => rate.burst(number(burst)?),
        None => rate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_requests_in_a_time_and_how_many_at_once() {
        assert_eq!(rate("100/s").unwrap(), Rate::per_second(100));
        assert_eq!(rate("300/1m+20").unwrap(), Rate::per_minute(300).burst(20));
        assert_eq!(rate("1/250ms").unwrap(), Rate::new(1, Duration::from_millis(250)));
        for text in ["", "100", "100/", "/s", "-1/s", "100/day", "100/s+", "100/s+-1", "x/s", "100/1"] {
            assert!(rate(text).unwrap_err().contains("COUNT/TIME"), "{text}");
        }
    }
}
