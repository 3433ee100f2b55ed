//! Regions, availability zones, and the region's defaults for encryption.
//! Must not know what is in a region.

use crate::error::ApiError;
use crate::world::{REGIONS, Tags, Zone, default_key as key_of, zones_of};

use super::Call;
use super::filters::Filters;
use super::xml::Xml;

/// DescribeAvailabilityZones of the region that is called.
pub(super) fn zones(call: &mut Call) -> Result<Xml, ApiError> {
    call.dry_run(|_| Ok(()))?;
    let known = [
        "opt-in-status",
        "region-name",
        "state",
        "zone-id",
        "zone-name",
        "zone-type",
    ];
    let filters = Filters::read(&call.params, &known)?;
    let (names, ids) = (call.params.list("ZoneName"), call.params.list("ZoneId"));
    let region = &call.caller.region;
    let all = zones_of(region);
    if let Some(name) = names
        .iter()
        .find(|name| !all.iter().any(|zone| zone.name == **name))
    {
        let message = format!("Invalid availability zone: [{name}]");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let zones = all
        .into_iter()
        .filter(|zone| names.is_empty() || names.contains(&zone.name))
        .filter(|zone| ids.is_empty() || ids.contains(&zone.id))
        .filter(|zone| filters.pass(&Tags::new(), |name| zone_values(region, zone, name)));
    let mut xml = Xml::new();
    xml.list("availabilityZoneInfo", zones, |xml, zone| {
        xml.text("zoneName", &zone.name)
            .text("zoneId", &zone.id)
            .text("zoneState", "available")
            .text("zoneType", "availability-zone")
            .text("regionName", region)
            .text("groupName", region)
            .text("networkBorderGroup", region)
            .text("optInStatus", "opt-in-not-required");
    });
    Ok(xml)
}

fn zone_values(region: &str, zone: &Zone, filter: &str) -> Vec<String> {
    let value = match filter {
        "region-name" => region,
        "state" => "available",
        "zone-id" => &zone.id,
        "zone-name" => &zone.name,
        "zone-type" => "availability-zone",
        _ => "opt-in-not-required",
    };
    vec![value.to_owned()]
}

/// DescribeRegions.
pub(super) fn regions(call: &mut Call) -> Result<Xml, ApiError> {
    call.dry_run(|_| Ok(()))?;
    let filters = Filters::read(&call.params, &["endpoint", "opt-in-status", "region-name"])?;
    let names = call.params.list("RegionName");
    if let Some(name) = names.iter().find(|name| !REGIONS.contains(&name.as_str())) {
        let message = format!("Invalid region names: [{name}]");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let regions = REGIONS
        .into_iter()
        .filter(|region| names.is_empty() || names.iter().any(|name| name == region))
        .filter(|region| filters.pass(&Tags::new(), |name| region_values(region, name)));
    let mut xml = Xml::new();
    xml.list("regionInfo", regions, |xml, region| {
        xml.text("regionName", region)
            .text("regionEndpoint", endpoint(region))
            .text("optInStatus", "opt-in-not-required");
    });
    Ok(xml)
}

fn region_values(region: &str, filter: &str) -> Vec<String> {
    let value = match filter {
        "region-name" => region.to_owned(),
        "endpoint" => endpoint(region),
        _ => "opt-in-not-required".to_owned(),
    };
    vec![value]
}

fn endpoint(region: &str) -> String {
    format!("ec2.{region}.amazonaws.com")
}

/// GetEbsEncryptionByDefault: always off in the lab.
pub(super) fn encryption_by_default(call: &mut Call) -> Result<Xml, ApiError> {
    call.dry_run(|_| Ok(()))?;
    let mut xml = Xml::new();
    xml.text("ebsEncryptionByDefault", false);
    Ok(xml)
}

/// GetEbsDefaultKmsKeyId: always the AWS managed key.
pub(super) fn default_key(call: &mut Call) -> Result<Xml, ApiError> {
    call.dry_run(|_| Ok(()))?;
    let mut xml = Xml::new();
    xml.text("kmsKeyId", key_of(call.caller));
    Ok(xml)
}
