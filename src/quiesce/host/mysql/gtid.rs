//! Sets of transactions as MariaDB and MySQL write them, and whether one holds another. Pure.
//!
//! MariaDB: the last sequence number per domain and server, `0-1-57,0-2-60` (its manual, "Global Transaction ID").
//! MySQL: intervals per server, `uuid:1-57:60-70,uuid:1-5` (its manual, "GTID Format and Storage").

use std::collections::BTreeMap;

/// What `found` lacks of MariaDB's state `wanted`.
#[must_use]
pub fn missing_of_mariadb(wanted: &str, found: &str) -> Option<String> {
    let found: BTreeMap<(u64, u64), u64> = parts(found).filter_map(of_mariadb).collect();
    let lacks = |part: &&str| match of_mariadb(part) {
        Some((stream, last)) => found.get(&stream).is_none_or(|found| *found < last),
        None => true,
    };
    joined(parts(wanted).filter(lacks))
}

/// What `found` lacks of MySQL's set `wanted`.
#[must_use]
pub fn missing_of_mysql(wanted: &str, found: &str) -> Option<String> {
    let found: BTreeMap<String, Vec<Interval>> = parts(found).filter_map(of_mysql).collect();
    let lacks = |part: &&str| match of_mysql(part) {
        Some((server, intervals)) => {
            let has = found.get(&server).map_or(&[][..], Vec::as_slice);
            !intervals.iter().all(|wanted| holds(has, *wanted))
        }
        None => true,
    };
    joined(parts(wanted).filter(lacks))
}

/// How many transactions MariaDB's state counts: the numbers of a domain go on from server to server.
#[must_use]
pub fn count_of_mariadb(state: &str) -> u64 {
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for ((domain, _), number) in parts(state).filter_map(of_mariadb) {
        let last = last.entry(domain).or_default();
        *last = number.max(*last);
    }
    last.values().sum()
}

/// How many transactions MySQL's set holds.
#[must_use]
pub fn count_of_mysql(set: &str) -> u64 {
    let intervals = parts(set)
        .filter_map(of_mysql)
        .flat_map(|(_, intervals)| intervals);
    intervals
        .map(|(first, last)| (last + 1).saturating_sub(first))
        .sum()
}

/// First and last number, both included.
type Interval = (u64, u64);

fn parts(set: &str) -> impl Iterator<Item = &str> {
    set.split([',', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> Option<String> {
    let parts: Vec<&str> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

fn of_mariadb(part: &str) -> Option<((u64, u64), u64)> {
    let numbers: Vec<u64> = part
        .split('-')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    match numbers.as_slice() {
        [domain, server, last] => Some(((*domain, *server), *last)),
        _ => None,
    }
}

fn of_mysql(part: &str) -> Option<(String, Vec<Interval>)> {
    // A tag of MySQL 8.4 belongs to the name: `uuid:tag:1-5`.
    let mut words = part.split(':').map(str::trim);
    let mut name = words.next()?.to_lowercase();
    let mut intervals = Vec::new();
    for word in words {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) => intervals.push((first, last)),
            _ if intervals.is_empty() => name = format!("{name}:{}", word.to_lowercase()),
            _ => return None,
        }
    }
    (!intervals.is_empty()).then_some((name, intervals))
}

/// Whether one of the intervals holds all of `wanted`. Servers write neighbouring intervals as one.
fn holds(found: &[Interval], wanted: Interval) -> bool {
    let around = |found: &Interval| found.0 <= wanted.0 && found.1 >= wanted.1;
    found.iter().any(around)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mariadb_holds_what_has_come_as_far_in_every_stream() {
        let missing = |wanted, found| missing_of_mariadb(wanted, found);
        assert_eq!(missing("0-1-57", "0-1-57"), None);
        assert_eq!(missing("0-1-57,\n1-2-9", "1-2-10,0-1-57"), None);
        assert_eq!(missing("", ""), None);
        assert_eq!(
            missing("0-1-58,1-2-9", "0-1-57,1-2-9").as_deref(),
            Some("0-1-58")
        );
        assert_eq!(missing("0-2-5", "0-1-57").as_deref(), Some("0-2-5"));
        assert!(
            missing("nonsense", "nonsense").is_some(),
            "never by accident"
        );
    }

    #[test]
    fn transactions_are_counted_once_whoever_wrote_them() {
        assert_eq!(count_of_mariadb("0-1-57,0-2-60,3-1-4"), 64);
        assert_eq!(count_of_mariadb(""), 0);
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        assert_eq!(count_of_mysql(&format!("{uuid}:1-5:7,{uuid}:tag:1-2")), 8);
    }

    #[test]
    fn mysql_holds_what_its_intervals_hold() {
        let uuid = "3E11FA47-71CA-11E1-9E33-C80AA9429562";
        let missing = |wanted: &str, found: &str| {
            missing_of_mysql(&format!("{uuid}:{wanted}"), &format!("{uuid}:{found}")).is_some()
        };
        assert!(!missing("1-5", "1-5"));
        assert!(!missing("1-5:7", "1-10"));
        assert!(missing("1-11", "1-10"));
        assert!(missing("5", "1-4:6-9"), "a gap");
        assert!(missing("shop:1-5", "1-5"), "a tag is another stream");
        assert!(!missing("shop:1-5", "shop:1-6"));
        let other = "4350f323-7565-4e59-8763-4b1b83a0ce0e:1";
        assert!(missing_of_mysql(other, &format!("{uuid}:1-5")).is_some());
        assert_eq!(missing_of_mysql("", &format!("{uuid}:1-5")), None);
    }
}
