//! What a scenario leaves to chance: values, members of lists and the world's own factors, drawn per seed.
//!
//! It works on the file's tables before anyone gives them a meaning, and must not know one.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::dist::standard_normal;

/// Draws every `{ between = [a, b] }` (uniform), `{ log_between = [a, b] }` (uniform in the logarithm; whole
/// numbers when both ends are) and `{ one_of = [...] }` of a scenario, and leaves out the tables of a list whose
/// `chance` says so. Each draw has a stream of its own, named by its place, so that none shifts another.
///
/// # Errors
/// A message that names the place, for a range or choice that can't be drawn from.
pub(super) fn draw(table: &mut Table, seed: u64) -> Result<(), String> {
    let drawer = Drawer { seed };
    drawer.table("scenario", table)
}

/// Multiplies the median of every distribution that has a `world` spread by this world's own factor, drawn
/// lognormally once per seed: what all volumes, lineages and operations of a world share. Removes `world`.
/// Without a seed the medians stay.
pub(super) fn settle(table: &mut Table, name: &str, seed: Option<u64>) {
    if let (Some(sigma), Some(seed)) = (table.remove("world").as_ref().and_then(number), seed) {
        let factor = (sigma * standard_normal(&mut Drawer { seed }.stream(name))).exp();
        if let Some(median) = table.get("median").and_then(number) {
            table.insert("median".to_owned(), Value::Float(median * factor));
        }
    }
    for (key, value) in table.iter_mut() {
        if let Value::Table(inner) = value {
            settle(inner, &format!("{name}.{key}"), seed);
        }
    }
}

struct Drawer {
    seed: u64,
}

impl Drawer {
    fn stream(&self, place: &str) -> ChaCha8Rng {
        let digest = Sha256::digest(format!("{}/{place}", self.seed));
        ChaCha8Rng::from_seed(digest.into())
    }

    fn table(&self, place: &str, table: &mut Table) -> Result<(), String> {
        for (key, value) in table.iter_mut() {
            self.value(&format!("{place}.{key}"), value)?;
        }
        Ok(())
    }

    fn value(&self, place: &str, value: &mut Value) -> Result<(), String> {
        match value {
            Value::Table(table) => match self.drawn(place, table)? {
                Some(mut drawn) => {
                    self.value(place, &mut drawn)?;
                    *value = drawn;
                }
                None => self.table(place, table)?,
            },
            Value::Array(members) => self.members(place, members)?,
            _ => {}
        }
        Ok(())
    }

    fn members(&self, place: &str, members: &mut Vec<Value>) -> Result<(), String> {
        let mut kept = Vec::new();
        for (index, mut member) in std::mem::take(members).into_iter().enumerate() {
            let place = format!("{place}[{index}]");
            if self.stays(&place, &mut member)? {
                self.value(&place, &mut member)?;
                kept.push(member);
            }
        }
        *members = kept;
        Ok(())
    }

    /// Whether a member of a list is there in this world.
    fn stays(&self, place: &str, member: &mut Value) -> Result<bool, String> {
        let Some(chance) = member
            .as_table_mut()
            .and_then(|table| table.remove("chance"))
        else {
            return Ok(true);
        };
        match number(&chance).filter(|chance| (0.0..=1.0).contains(chance)) {
            Some(chance) => Ok(self.stream(&format!("{place}.chance")).random::<f64>() < chance),
            None => Err(format!("{place}.chance must be between 0 and 1")),
        }
    }

    fn drawn(&self, place: &str, table: &Table) -> Result<Option<Value>, String> {
        let mut entries = table.iter();
        let (Some((key, given)), None) = (entries.next(), entries.next()) else {
            return Ok(None);
        };
        let mut rng = self.stream(place);
        match key.as_str() {
            "between" => range(place, given, false, &mut rng).map(Some),
            "log_between" => range(place, given, true, &mut rng).map(Some),
            "one_of" => choice(place, given, &mut rng).map(Some),
            _ => Ok(None),
        }
    }
}

fn choice(place: &str, given: &Value, rng: &mut ChaCha8Rng) -> Result<Value, String> {
    match given.as_array().filter(|values| !values.is_empty()) {
        Some(values) => Ok(values[rng.random_range(0..values.len())].clone()),
        None => Err(format!("{place}.one_of must be a list with values")),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "between two whole numbers of the file"
)]
fn range(place: &str, given: &Value, log: bool, rng: &mut ChaCha8Rng) -> Result<Value, String> {
    let wrong = || {
        format!("{place}: a range is two numbers, the smaller one first, above 0 for log_between")
    };
    let ends = given
        .as_array()
        .filter(|ends| ends.len() == 2)
        .ok_or_else(wrong)?;
    let whole = ends.iter().all(Value::is_integer);
    let (low, high) = (
        number(&ends[0]).ok_or_else(wrong)?,
        number(&ends[1]).ok_or_else(wrong)?,
    );
    if !(low <= high && (low > 0.0 || !log)) {
        return Err(wrong());
    }
    let share: f64 = rng.random();
    let drawn = if log {
        low * (high / low).powf(share)
    } else {
        low + (high - low) * share
    };
    Ok(if whole {
        Value::Integer(drawn.round() as i64)
    } else {
        Value::Float(drawn)
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a scenario's whole numbers are small"
)]
fn number(value: &Value) -> Option<f64> {
    value
        .as_float()
        .or_else(|| value.as_integer().map(|whole| whole as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
a = { between = [1.0, 3.0] }
n = { log_between = [10, 1000] }
k = { one_of = ['x', { between = [5, 5] }] }
plain = { median = 2.0, sigma = 0.1 }
[[w]]
chance = 0.5
v = 1
[[w]]
v = { between = [0, 9] }
";

    fn drawn(seed: u64) -> Table {
        let mut table: Table = toml::from_str(TEXT).expect("test TOML");
        draw(&mut table, seed).expect("ranges that can be drawn from");
        table
    }

    #[test]
    fn a_seed_repeats_and_seeds_differ_within_the_ranges() {
        assert_eq!(drawn(4), drawn(4));
        let all: Vec<Table> = (0..200).map(drawn).collect();
        for table in &all {
            let a = table["a"].as_float().expect("a number");
            let n = table["n"].as_integer().expect("a whole number");
            assert!((1.0..=3.0).contains(&a) && (10..=1000).contains(&n));
            assert!(table["k"] == Value::from("x") || table["k"] == Value::from(5));
        }
        let below = all
            .iter()
            .filter(|t| t["n"].as_integer() < Some(100))
            .count();
        assert!(
            (70..130).contains(&below),
            "half of the draws are below the geometric middle, not {below}"
        );
        let both = all
            .iter()
            .filter(|t| t["w"].as_array().is_some_and(|w| w.len() == 2))
            .count();
        assert!(
            (70..130).contains(&both),
            "{both} of 200 with an even chance"
        );
    }

    #[test]
    fn a_member_left_out_does_not_shift_the_next() {
        let later = |table: &Table| table["w"].as_array().and_then(|w| w.last().cloned());
        let certain = TEXT.replace("chance = 0.5", "chance = 0");
        for seed in 0..20 {
            let mut table: Table = toml::from_str(&certain).expect("test TOML");
            draw(&mut table, seed).expect("drawn");
            assert_eq!(later(&table), later(&drawn(seed)));
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_named() {
        for text in [
            "a = { between = [3, 1] }",
            "a = { log_between = [0, 1] }",
            "a = { one_of = [] }",
        ] {
            let mut table: Table = toml::from_str(text).expect("test TOML");
            let error = draw(&mut table, 1).expect_err(text);
            assert!(error.contains("scenario.a"), "{error}");
        }
    }

    #[test]
    fn a_world_shifts_medians_and_leaves_the_rest() {
        let text = "[s]\nrate = { median = 4.0, sigma = 0.1, world = 0.5 }\nx = { median = 1.0 }";
        let of = |seed| {
            let mut table: Table = toml::from_str(text).expect("test TOML");
            settle(&mut table, "service", seed);
            table
        };
        let median = |table: &Table| table["s"]["rate"]["median"].as_float();
        assert_eq!(median(&of(None)), Some(4.0));
        assert_ne!(median(&of(Some(1))), median(&of(Some(2))));
        assert!(of(Some(1))["s"]["rate"].get("world").is_none());
        assert_eq!(of(Some(1))["s"]["x"], of(None)["s"]["x"]);
    }
}
