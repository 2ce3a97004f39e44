//! Independent pieces of work on a few threads, answered in the order they were given.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Does `work` on each of `inputs` with at most `threads` threads, the caller's among them. The answer does not
/// depend on their number.
pub(crate) fn run<I: Sync, O: Send>(
    inputs: &[I],
    threads: NonZeroUsize,
    work: impl Fn(&I) -> O + Sync,
) -> Vec<O> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(inputs.len()));
    let toil = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = inputs.get(index) else { break };
            let output = work(input);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, output));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.get().min(inputs.len()) {
            scope.spawn(toil);
        }
        toil();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, output)| output).collect()
}

/// The same for inputs that `work` takes for itself, pieces of one buffer for instance.
pub(crate) fn consume<I: Send, O: Send>(
    inputs: Vec<I>,
    threads: NonZeroUsize,
    work: impl Fn(I) -> O + Sync,
) -> Vec<O> {
    let inputs: Vec<_> = inputs.into_iter().map(|input| Mutex::new(Some(input))).collect();
    let taken = run(&inputs, threads, |input| {
        let input = input.lock().unwrap_or_else(PoisonError::into_inner).take();
        input.map(&work)
    });
    taken.into_iter().flatten().collect()
}

/// Two pieces of work, side by side if there is more than one thread.
pub(crate) fn both<A: Send, B>(
    threads: NonZeroUsize,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B,
) -> (A, B) {
    if threads.get() == 1 {
        return (one(), other());
    }
    thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), other)
    })
}
