//! Medians, spreads and ratios of a few samples.

/// The middle of some samples and how far they reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Summary {
    /// `None` without samples, or if one of them is no number.
    pub(super) fn of(samples: &[f64]) -> Option<Self> {
        if samples.iter().any(|sample| !sample.is_finite()) {
            return None;
        }
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        } else {
            sorted[middle]
        };
        Some(Self { median, low, high })
    }

    /// From the lowest to the highest, in percent of the median.
    pub(super) fn spread(&self) -> f64 {
        if self.median == 0.0 {
            0.0
        } else {
            (self.high - self.low) / self.median.abs() * 100.0
        }
    }
}

/// The ratios of samples that were taken in the same round, so that drift is in both.
pub(super) fn ratios(samples: &[f64], reference: &[f64]) -> Option<Summary> {
    let paired: Vec<f64> = samples
        .iter()
        .zip(reference)
        .map(|(sample, reference)| sample / reference)
        .collect();
    Summary::of(&paired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        for (samples, expected) in [
            (&[3.0, 1.0, 2.0][..], 2.0),
            (&[4.0, 1.0, 2.0, 3.0], 2.5),
            (&[7.0], 7.0),
        ] {
            assert_eq!(
                Summary::of(samples).unwrap().median,
                expected,
                "{samples:?}"
            );
        }
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn the_spread_is_in_percent_of_the_median() {
        assert_eq!(Summary::of(&[90.0, 100.0, 110.0]).unwrap().spread(), 20.0);
        assert_eq!(Summary::of(&[0.0]).unwrap().spread(), 0.0);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine became half as fast; who is twice as fast as the other stays so.
        let ratio = ratios(&[200.0, 100.0], &[100.0, 50.0]).unwrap();
        assert_eq!((ratio.low, ratio.median, ratio.high), (2.0, 2.0, 2.0));
        assert_eq!(ratios(&[1.0], &[0.0]), None);
    }
}
