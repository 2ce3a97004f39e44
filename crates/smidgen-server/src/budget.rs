//! How much of the machine encoding may use, and what a pair of builds will need of it.

use std::num::NonZeroUsize;

/// Processors and memory for encoders. Jobs wait until both are free; a job that needs more memory than there is in
/// all runs alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Encoders at once.
    pub threads: NonZeroUsize,
    /// Bytes for all of them together.
    pub memory: u64,
}

/// Assumed where the machine does not tell.
const MEMORY: u64 = 4 << 30;

impl Default for Budget {
    /// All processors, and three quarters of the memory that is available now (within the limits of the container).
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            memory: available_memory().unwrap_or(MEMORY) / 4 * 3,
        }
    }
}

/// What Linux reports as available, or less if the control group allows less.
fn available_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let available = kib * 1024;
    let read = |name| std::fs::read_to_string(name).ok()?.trim().parse::<u64>().ok();
    let group = read("/sys/fs/cgroup/memory.max")
        .map(|limit| limit.saturating_sub(read("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    Some(group.map_or(available, |group| group.min(available)))
}
