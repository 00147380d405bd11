//! How work is divided among the threads of a rayon pool.

use op::Threads;

/// The least number of adjacent tasks for one thread, so that at most `threads` threads work on `tasks` of them. A pool
/// that has no more threads than that balances single tasks.
pub(crate) fn min_tasks(tasks: usize, threads: Threads) -> usize {
    if threads.get() >= rayon::current_num_threads() { 1 } else { tasks.div_ceil(threads.get()).max(1) }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Mutex, thread};

    use rayon::prelude::*;

    use super::*;

    #[test]
    fn no_more_threads_work_than_were_offered() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
        for (tasks, offered) in [(1, 3), (7, 3), (100, 3), (64, 2), (5, 8), (0, 2)] {
            let threads = Threads::new(offered).unwrap();
            let workers = Mutex::new(HashSet::new());
            let run = || {
                let each = (0..tasks).into_par_iter().with_min_len(min_tasks(tasks, threads));
                each.for_each(|_| {
                    workers.lock().unwrap().insert(thread::current().id());
                    thread::yield_now();
                });
            };
            pool.install(run);
            assert!(workers.lock().unwrap().len() <= offered, "{tasks} tasks of {offered} threads");
        }
    }
}
