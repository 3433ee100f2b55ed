//! Regions and availability zones, with the zone ids that mean the same in every account.
//! It must not know what is in them.

/// The regions that the lab describes; requests to any other region work as well.
pub const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// An availability zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name, e.g. `us-east-1a`.
    pub name: String,
    /// Its id, e.g. `use1-az1`.
    pub id: String,
}

/// The three zones of a region.
pub fn zones_of(region: &str) -> Vec<Zone> {
    let short = short_name(region);
    let zone = |(letter, number)| Zone {
        name: format!("{region}{letter}"),
        id: format!("{short}-az{number}"),
    };
    [('a', 1), ('b', 2), ('c', 3)]
        .into_iter()
        .map(zone)
        .collect()
}

/// The name of a zone given by name or by id, in a region; none when the region has no such zone.
pub(crate) fn zone_name(region: &str, name: Option<&str>, id: Option<&str>) -> Option<String> {
    match (name, id) {
        (Some(name), _) => {
            let letter = name.strip_prefix(region)?;
            let one_letter = letter.len() == 1 && letter.bytes().all(|b| b.is_ascii_lowercase());
            one_letter.then(|| name.to_owned())
        }
        (None, Some(id)) => zones_of(region)
            .into_iter()
            .find(|z| z.id == id)
            .map(|z| z.name),
        (None, None) => None,
    }
}

/// `us-east-1` as zone ids write it: `use1`.
fn short_name(region: &str) -> String {
    let part = |part: &str| match part {
        "northeast" => "ne".to_owned(),
        "southeast" => "se".to_owned(),
        "northwest" => "nw".to_owned(),
        "southwest" => "sw".to_owned(),
        "north" | "south" | "east" | "west" | "central" => part[..1].to_owned(),
        other => other.to_owned(),
    };
    region.split('-').map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_ids_follow_aws_names() {
        assert_eq!(zones_of("us-east-1")[0].id, "use1-az1");
        assert_eq!(zones_of("ap-southeast-2")[2].id, "apse2-az3");
        let named = zone_name("eu-west-1", None, Some("euw1-az2"));
        assert_eq!(named.as_deref(), Some("eu-west-1b"));
        assert_eq!(zone_name("eu-west-1", Some("us-east-1a"), None), None);
    }
}
