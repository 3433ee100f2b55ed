//! The small writes' curve from identities: two families, weighted by what they would have said.
//!
//! The rate mixture knows each block's history and is best within what was observed; the curve through
//! the unions sees how growth really went on over the whole of it, phases and all, and is best beyond.
//! Their geometric mean is weighted by the reach of the window and, in the odds, by how well each
//! predicted the volume's own later deltas from its earlier ones (stacking; Wolpert, Neural Networks
//! 1992). It must not know bulk writing or errors.

use super::counts::HEAPS_EXPONENT;
use super::incidence::IncidenceTable;
use super::knots::{Knot, hull};
use super::mixture::{Atom, expected, fit_mixture};
use super::unions::{HyperExponential, Union, unions};

/// The unions' share begins to grow at this reach and is a half at what was observed.
const REACH: (f64, f64) = (0.35, 1.0);
/// A family never weighs less than this before its own predictions are looked at.
const LEAST_SHARE: f64 = 0.1;
/// How the difference of the families' mean errors moves the odds.
const ODDS_PER_ERROR: f64 = 20.0;
/// Largest |ln| that one prediction counts with.
const LARGEST_ERROR: f64 = 2.0;
/// A prediction of so many blocks counts half.
const HALF_COUNT: f64 = 15.0;
/// Origins of own predictions, the newest.
const MOST_ORIGINS: usize = 6;
/// Blocks that nobody has seen yet but that are there, growing like other volumes' deltas: a curve is
/// never trusted to fewer than about ten blocks. It decides after quiet deltas only.
const UNSEEN_BLOCKS: f64 = 10.0;
/// Neither family is believed below this many blocks, for the mean of their logarithms.
const LEAST_BLOCKS: f64 = 0.3;
/// Points of the resulting curve, from this share of the shortest delta to so many times all.
const KNOTS: u32 = 72;
const SHORTEST: f64 = 1.0 / 64.0;
const LONGEST: f64 = 1000.0;

/// The small writes' curve and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Blend {
    /// The curve.
    pub knots: Vec<Knot>,
    /// Operational time of all deltas behind it.
    pub calibrated: f64,
    /// Share of the curve through the unions at that reach.
    pub share: f64,
}

/// Fits the curve of a population of `population` blocks; `None` when no delta has operational time.
#[must_use]
pub fn blended(tables: &[IncidenceTable], population: f64) -> Option<Blend> {
    let families = Families::fit(tables, population)?;
    let preference = preference(tables, population);
    let least = volumes(tables).fold(families.calibrated, f64::min);
    let (low, high) = (
        (SHORTEST * least).ln(),
        (LONGEST * families.calibrated).ln(),
    );
    let knot = |k: u32| {
        let volume = (low + (high - low) * f64::from(k) / f64::from(KNOTS - 1)).exp();
        Knot {
            volume,
            blocks: families.blended(volume, preference).min(population),
        }
    };
    Some(Blend {
        knots: hull((0..KNOTS).map(knot).collect()),
        calibrated: families.calibrated,
        share: share(1.0, preference),
    })
}

/// Operational times of all deltas.
fn volumes(tables: &[IncidenceTable]) -> impl Iterator<Item = f64> + '_ {
    let all = tables
        .iter()
        .flat_map(|table| table.volumes.iter().copied());
    all.filter(|volume| *volume > 0.0 && volume.is_finite())
}

/// Both families, fitted to the same deltas.
struct Families {
    atoms: Vec<Atom>,
    curve: Option<HyperExponential>,
    calibrated: f64,
}

impl Families {
    fn fit(tables: &[IncidenceTable], population: f64) -> Option<Self> {
        let calibrated: f64 = volumes(tables).sum();
        let points: Vec<Union> = tables.iter().flat_map(unions).collect();
        (calibrated > 0.0 && calibrated.is_finite()).then(|| Self {
            atoms: fit_mixture(tables, population, None),
            curve: HyperExponential::fit(&points),
            calibrated,
        })
    }

    /// What the mixture and the unions say, in this order.
    fn both(&self, volume: f64) -> (f64, f64) {
        let mixture = expected(&self.atoms, volume);
        let curve = self.curve.as_ref();
        (mixture, curve.map_or(mixture, |curve| curve.at(volume)))
    }

    fn unseen(&self, volume: f64) -> f64 {
        UNSEEN_BLOCKS * ((1.0 + volume / self.calibrated).powf(HEAPS_EXPONENT.0) - 1.0)
    }

    fn blended(&self, volume: f64, preference: f64) -> f64 {
        let (mixture, curve) = self.both(volume);
        let share = share(volume / self.calibrated, preference);
        let (mixture, curve) = (mixture.max(LEAST_BLOCKS).ln(), curve.max(LEAST_BLOCKS).ln());
        (mixture + share * (curve - mixture)).exp() + self.unseen(volume)
    }
}

/// Share of the unions' curve, continuous in the reach.
fn share(reach: f64, preference: f64) -> f64 {
    let progress = (reach / REACH.0).ln() / (REACH.1 / REACH.0).ln();
    let before = (0.5 * progress.clamp(0.0, 1.0)).max(LEAST_SHARE);
    let odds = before / (1.0 - before) * preference.exp();
    odds / (1.0 + odds)
}

/// ln odds in favour of the unions' curve.
fn preference(tables: &[IncidenceTable], population: f64) -> f64 {
    let (mixture, curve) = errors(tables, population);
    ODDS_PER_ERROR * (mixture - curve)
}

/// Mean |ln| by which the better family misses the volume's own later deltas: tells which measure of
/// writing its growth follows. 0 without a later delta.
#[must_use]
pub fn foresight(tables: &[IncidenceTable], population: f64) -> f64 {
    let (mixture, curve) = errors(tables, population);
    mixture.min(curve)
}

/// Mean |ln| of mixture and unions' curve from rolling origins: each later delta, and each union of
/// later deltas, predicted from the deltas before. One prediction without error counts in.
fn errors(tables: &[IncidenceTable], population: f64) -> (f64, f64) {
    let mut sums = (0.0, 0.0, 1.0);
    for (table, count) in origins(tables) {
        let mut past = tables[..table].to_vec();
        past.push(tables[table].until(count));
        let Some(families) = Families::fit(&past, population) else {
            continue;
        };
        let later = unions(&tables[table]).into_iter();
        for union in later.filter(|union| union.first == count) {
            let (by_mixture, by_curve) = families.both(union.volume);
            let unseen = families.unseen(union.volume);
            let error = |said: f64| {
                let ratio = (said + unseen + 1.0) / (union.blocks + 1.0);
                ratio.ln().abs().min(LARGEST_ERROR)
            };
            let weight = union.blocks / (union.blocks + HALF_COUNT);
            sums.0 += weight * error(by_mixture);
            sums.1 += weight * error(by_curve);
            sums.2 += weight;
        }
    }
    (sums.0 / sums.2, sums.1 / sums.2)
}

/// Table and number of its deltas before each origin: at least two deltas before, one after.
fn origins(tables: &[IncidenceTable]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let mut before = 0;
    for (index, table) in tables.iter().enumerate() {
        let deltas = table.volumes.len();
        let within = (0..deltas).filter(|count| before + count >= 2);
        all.extend(within.map(|count| (index, count)));
        before += deltas;
    }
    all.split_off(all.len().saturating_sub(MOST_ORIGINS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_continuous_and_grows_with_the_reach() {
        let shares: Vec<f64> = (1..400).map(|k| share(f64::from(k) / 100.0, 0.3)).collect();
        for pair in shares.windows(2) {
            assert!(pair[1] >= pair[0] && pair[1] - pair[0] < 0.02);
        }
        assert!((share(5.0, 0.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn origins_cross_tables() {
        let table = |deltas: usize| IncidenceTable {
            volumes: vec![1.0; deltas],
            patterns: Vec::new(),
        };
        assert_eq!(origins(&[table(3), table(1)]), [(0, 2), (1, 0)]);
        assert_eq!(origins(&[table(1), table(1)]), []);
    }

    #[test]
    fn after_quiet_deltas_more_is_expected_of_more_writing() {
        let quiet = IncidenceTable {
            volumes: vec![9.0; 6],
            patterns: vec![(0b11_1111, 2)],
        };
        let blend = blended(&[quiet], 1e6).expect("volumes are positive");
        let at = |volume| crate::dirty::knots::height(&blend.knots, volume);
        assert!(
            at(9.0) < 4.0 && at(540.0) > 20.0,
            "{} {}",
            at(9.0),
            at(540.0)
        );
    }
}
