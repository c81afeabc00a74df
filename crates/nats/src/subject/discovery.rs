//! The subjects of NATS service discovery (ADR-32), which all services share.

use super::SubjectError;

/// What discovery asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Who is there.
    Ping,
    /// What endpoints there are.
    Info,
    /// What they have done.
    Stats,
}

impl Verb {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Ping, Self::Info, Self::Stats];

    /// The verb as subjects write it, such as `PING`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "PING",
            Self::Info => "INFO",
            Self::Stats => "STATS",
        }
    }
}

/// Who is asked by discovery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DiscoveryTarget<'a> {
    /// Every instance of every service.
    #[default]
    All,
    /// Every instance of one service.
    Service(&'a str),
    /// One instance.
    Instance {
        /// The service's name.
        service: &'a str,
        /// The instance's id.
        id: &'a str,
    },
}

/// `$SRV.{verb}[.{service}[.{instance id}]]`.
///
/// Services that are not ours may have names with upper-case letters and underscores, so the name
/// is only checked to be one plain token: `A-Z a-z 0-9 - _`.
///
/// # Errors
/// [`SubjectError::Token`] for a service name or instance id that is no such token.
///
/// ```
/// use headwater_nats::subject::{DiscoveryTarget, Verb, discovery};
///
/// assert_eq!(discovery(Verb::Ping, DiscoveryTarget::Service("receipts"))?, "$SRV.PING.receipts");
/// assert!(discovery(Verb::Ping, DiscoveryTarget::Service("*")).is_err());
/// # Ok::<(), headwater_nats::subject::SubjectError>(())
/// ```
pub fn discovery(verb: Verb, target: DiscoveryTarget<'_>) -> Result<String, SubjectError> {
    let verb = verb.as_str();
    Ok(match target {
        DiscoveryTarget::All => format!("$SRV.{verb}"),
        DiscoveryTarget::Service(service) => format!("$SRV.{verb}.{}", token("service", service)?),
        DiscoveryTarget::Instance { service, id } => {
            format!("$SRV.{verb}.{}.{}", token("service", service)?, token("instance id", id)?)
        }
    })
}

fn token<'a>(what: &'static str, value: &'a str) -> Result<&'a str, SubjectError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=128).contains(&value.len()) && value.bytes().all(plain) {
        Ok(value)
    } else {
        Err(SubjectError::Token { what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_three_forms_of_each_verb() {
        for verb in Verb::ALL {
            let word = verb.as_str();
            assert_eq!(discovery(verb, DiscoveryTarget::All).unwrap(), format!("$SRV.{word}"));
            let service = DiscoveryTarget::Service("Orders_1");
            assert_eq!(discovery(verb, service).unwrap(), format!("$SRV.{word}.Orders_1"));
            let instance = DiscoveryTarget::Instance { service: "orders", id: "VMKS6MHK71GCXWWQ7KW9T8" };
            assert_eq!(discovery(verb, instance).unwrap(), format!("$SRV.{word}.orders.VMKS6MHK71GCXWWQ7KW9T8"));
        }
    }

    #[test]
    fn a_name_cannot_reach_other_subjects() {
        for bad in ["", "*", ">", "a.b", "a b", "é", "a\r\n", &"x".repeat(129)] {
            assert!(discovery(Verb::Info, DiscoveryTarget::Service(bad)).is_err(), "{bad}");
            let instance = DiscoveryTarget::Instance { service: "orders", id: bad };
            assert!(discovery(Verb::Info, instance).is_err(), "{bad}");
        }
    }
}
