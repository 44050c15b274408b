//! Work for every processor.

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

/// What `work` makes of each item, as many at a time as there are processors: in the order in which
/// they end.
pub(crate) fn on_each_processor<T: Send, R: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let items = Mutex::new(items.into_iter());
    let results = Mutex::new(Vec::new());
    let take = || items.lock().ok().and_then(|mut items| items.next());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(item) = take() {
                    let result = work(item);
                    if let Ok(mut results) = results.lock() {
                        results.push(result);
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        let mut squares = on_each_processor((0..100).collect(), |number: u32| number * number);
        squares.sort_unstable();
        let expected: Vec<u32> = (0..100).map(|number| number * number).collect();
        assert_eq!(squares, expected);
    }
}
