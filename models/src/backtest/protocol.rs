//! Protocols for traces of any length, when nobody asks for one. It must not know what is in a trace.

use super::Protocol;

/// Spans people take snapshots by. Two hours is the longest: rounds close to a cutover are shorter.
const SPANS_SECONDS: [f64; 16] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0,
    3600.0, 7200.0,
];
/// Windows as multiples of the delta.
const LAGS: [f64; 5] = [0.5, 1.0, 2.0, 3.0, 6.0];

impl Protocol {
    /// The longest usual time between snapshots at which a trace holds the deltas seen and as many
    /// again to predict; at least a second.
    #[must_use]
    pub fn delta_for(trace_seconds: f64, deltas: u32) -> f64 {
        let longest = trace_seconds / (2.0 * f64::from(deltas.max(1)));
        let fits = SPANS_SECONDS
            .iter()
            .copied()
            .filter(|span| *span <= longest);
        fits.fold(SPANS_SECONDS[0], f64::max)
    }

    /// A half, one, two, three and six deltas.
    #[must_use]
    pub fn lags_for(delta_seconds: f64) -> Vec<f64> {
        LAGS.iter().map(|lag| lag * delta_seconds).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delta_follows_the_length_of_the_trace() {
        let cases = [
            (4020.0, 300.0),
            (29_990.0, 1800.0),
            (302_000.0, 7200.0),
            (3840.7, 300.0),
            (20.0, 1.0),
            (0.0, 1.0),
        ];
        for (trace, delta) in cases {
            assert_eq!(Protocol::delta_for(trace, 6), delta, "{trace}");
        }
    }
}
