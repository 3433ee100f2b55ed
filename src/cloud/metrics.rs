//! Write history of a volume from CloudWatch.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use snapmigrate_models::ids::VolumeId;
use snapmigrate_models::observation::WritePeriod;
use snapmigrate_models::units::Timestamp;

use super::convert::{sdk_time, time_of};
use super::error::classify;
use super::{Cloud, CloudError};

/// The two series, in the order of their ids in the query.
const SERIES: [(&str, &str); 2] = [("bytes", "VolumeWriteBytes"), ("ops", "VolumeWriteOps")];

impl Cloud {
    /// Sums of written bytes and operations per period in `[from, to)`, oldest first. Periods
    /// without a data point are absent (AWS/EBS metrics: statistic Sum; the end is exclusive).
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn write_metrics(
        &self,
        volume: &VolumeId,
        from: Timestamp,
        to: Timestamp,
        period_seconds: u32,
    ) -> Result<Vec<WritePeriod>, CloudError> {
        let queries = SERIES.map(|(id, name)| query(id, name, volume, period_seconds));
        let mut pages = self
            .cloudwatch
            .get_metric_data()
            .set_metric_data_queries(Some(queries.to_vec()))
            .start_time(sdk_time(from))
            .end_time(sdk_time(to))
            .scan_by(ScanBy::TimestampAscending)
            .into_paginator()
            .send();
        let mut sums: BTreeMap<Timestamp, [Option<f64>; 2]> = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("GetMetricData", volume.as_str(), &error))?;
            for result in page.metric_data_results() {
                let Some(series) = SERIES.iter().position(|(id, _)| result.id() == Some(id)) else {
                    continue;
                };
                for (time, value) in result.timestamps().iter().zip(result.values()) {
                    if let Some(start) = time_of(time) {
                        sums.entry(start).or_default()[series] = Some(*value);
                    }
                }
            }
        }
        Ok(sums
            .into_iter()
            .filter_map(|(start, sum)| period(start, period_seconds, sum))
            .collect())
    }
}

fn period(start: Timestamp, period_seconds: u32, sum: [Option<f64>; 2]) -> Option<WritePeriod> {
    let [Some(write_bytes), Some(write_ops)] = sum else {
        return None;
    };
    let usable = write_bytes.is_finite() && write_ops.is_finite();
    usable.then_some(WritePeriod {
        start,
        period_seconds,
        write_bytes,
        write_ops,
    })
}

fn query(id: &str, name: &str, volume: &VolumeId, period_seconds: u32) -> MetricDataQuery {
    let dimension = Dimension::builder()
        .name("VolumeId")
        .value(volume.as_str())
        .build();
    let metric = Metric::builder()
        .namespace("AWS/EBS")
        .metric_name(name)
        .dimensions(dimension)
        .build();
    let stat = MetricStat::builder()
        .metric(metric)
        .period(i32::try_from(period_seconds).unwrap_or(i32::MAX))
        .stat("Sum")
        .build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}
