//! Independent work on as many threads as there are. It must not know what the work is: the answer is the same on
//! one thread.

use std::ops::Range;

/// More threads than this gain nothing here.
const MOST_THREADS: usize = 8;

/// What `part` makes of the numbers below `count`, in their order. Each thread gets at least `least` of them.
pub(crate) fn by_shares<T: Send>(
    count: usize,
    least: usize,
    part: impl Fn(Range<usize>) -> Vec<T> + Sync,
) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads.min(MOST_THREADS)).max(least.max(1));
    if share >= count {
        return part(0..count);
    }
    let part = &part;
    std::thread::scope(|scope| {
        let starts = (0..count).step_by(share);
        let running: Vec<_> = starts
            .map(|from| scope.spawn(move || part(from..(from + share).min(count))))
            .collect();
        let joined = running
            .into_iter()
            .map(|part| part.join().expect("no part panics"));
        joined.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_in_order_and_whole() {
        let squares = |share: Range<usize>| share.map(|k| k * k).collect();
        for (count, least) in [(0, 1), (1, 1), (7, 1), (7, 0), (100, 30)] {
            let expected: Vec<usize> = (0..count).map(|k| k * k).collect();
            assert_eq!(by_shares(count, least, squares), expected);
        }
    }
}
