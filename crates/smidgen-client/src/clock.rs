//! What time it is, as an argument.

use smidgen_metadata::Timestamp;

/// Tells the time; asked once per refresh.
pub trait Clock: Send + Sync {
    /// Now, in UTC. May be wrong: signed metadata gives it a floor.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 reads as 1970, like the one of a machine without a battery.
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}
