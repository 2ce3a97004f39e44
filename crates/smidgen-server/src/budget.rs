//! How much of the machine encoding may use, and what a pair of builds will need of it.

use std::num::NonZeroUsize;

use tokio::sync::{Semaphore, SemaphorePermit};

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

/// What zstd's strongest level allocates for a section at the window that patches use, at most.
const PACKING: u64 = 192 << 20;

/// Bytes that making the patch between two builds will allocate, roughly and rather too much: a suffix array of four
/// bytes for each byte of the old build with its bookkeeping, the streams of all codecs before and after packing, and
/// the packer. Both builds are mapped and not counted: the system can drop those pages.
pub(crate) fn patch_memory(old_size: u64, new_size: u64) -> u64 {
    let matching = old_size.saturating_mul(5);
    let streams = new_size.saturating_mul(4);
    matching.saturating_add(streams).saturating_add(PACKING.min(new_size.saturating_mul(24)))
}

/// Bytes that packing a full copy will allocate: its output, and the packer with its tables for the longest window.
pub(crate) fn full_memory(size: u64) -> u64 {
    size.saturating_add(PACKING.min(size.saturating_mul(24)))
}

/// Lets jobs in as long as the budget lasts.
#[derive(Debug)]
pub(crate) struct Gate {
    threads: Semaphore,
    memory: Semaphore,
    /// All of the memory, in units.
    units: u32,
}

/// A job's share; dropping it lets others in.
#[must_use]
pub(crate) struct Share<'a>(#[allow(dead_code, reason = "held, not read")] Option<[SemaphorePermit<'a>; 2]>);

/// Memory is counted in these, because a semaphore counts in 32 bits.
const UNIT: u64 = 1 << 20;

impl Gate {
    pub(crate) fn new(budget: Budget) -> Self {
        let units = u32::try_from(budget.memory / UNIT).unwrap_or(u32::MAX).max(1);
        Self { threads: Semaphore::new(budget.threads.get()), memory: Semaphore::new(units as usize), units }
    }

    /// Waits until `memory` bytes and a thread are free; a job that needs more than there is gets all of it.
    ///
    /// Jobs are let in in the order in which they ask. Memory comes first for everybody, so that nobody waits in a ring.
    pub(crate) async fn enter(&self, memory: u64) -> Share<'_> {
        let units = u32::try_from(memory.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units);
        // The semaphores are never closed, which is the only way in which this fails.
        let Ok(memory) = self.memory.acquire_many(units).await else { return Share(None) };
        let Ok(thread) = self.threads.acquire().await else { return Share(None) };
        Share(Some([memory, thread]))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn never_lets_in_more_than_the_budget_has() {
        let threads = NonZeroUsize::new(3).unwrap();
        let gate = Gate::new(Budget { threads, memory: 100 * UNIT });
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let job = |memory: u64| {
            let (gate, inside, most) = (&gate, &inside, &most);
            async move {
                let _share = gate.enter(memory * UNIT).await;
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        };
        futures_util::future::join_all((0..20).map(|_| job(10))).await;
        assert_eq!(most.swap(0, Ordering::SeqCst), 3);
        futures_util::future::join_all((0..20).map(|_| job(40))).await;
        assert_eq!(most.swap(0, Ordering::SeqCst), 2);
        futures_util::future::join_all((0..5).map(|_| job(1_000_000))).await;
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }
}
