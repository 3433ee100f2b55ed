//! CloudWatch: GetMetricData over the EBS metrics of the lab's volumes.

mod codec;
mod request;
mod series;
