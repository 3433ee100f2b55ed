//! GetMetricData in its three protocols, its pages and its refusals.

use ciborium::Value as Cbor;

use super::*;

const FORM: &str = "Action=GetMetricData&Version=2010-08-01&StartTime=2026-11-02T07%3A00%3A00Z&EndTime=2026-11-02T07%3A10%3A00Z\
    &MetricDataQueries.member.1.Id=w&MetricDataQueries.member.1.MetricStat.Period=300\
    &MetricDataQueries.member.1.MetricStat.Stat=Sum\
    &MetricDataQueries.member.1.MetricStat.Metric.Namespace=AWS%2FEBS\
    &MetricDataQueries.member.1.MetricStat.Metric.MetricName=VolumeWriteBytes\
    &MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Name=VolumeId\
    &MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Value=vol-0da7a000000000001";

/// 2026-11-02T07:00:00Z.
const SEVEN: i64 = 1_793_602_800;
const WORKLOAD: &str =
    "[[volumes.workload]]\nkind = \"uniform\"\nops_per_second = 10.0\nkib_per_op = 16.0\n";

fn body(period: i64, from: i64, to: i64) -> Value {
    let metric = serde_json::json!({
        "Namespace": "AWS/EBS", "MetricName": "VolumeWriteBytes",
        "Dimensions": [{ "Name": "VolumeId", "Value": VOLUME }],
    });
    serde_json::json!({
        "MetricDataQueries": [{ "Id": "w", "MetricStat": { "Metric": metric, "Period": period, "Stat": "Sum" } }],
        "StartTime": from, "EndTime": to,
    })
}

async fn ask(lab: &Lab, body: &Value) -> (u16, Value) {
    let request = signed(ACCOUNT, "monitoring", "POST", "/")
        .header(
            "x-amz-target",
            "GraniteServiceVersion20100801.GetMetricData",
        )
        .header("content-type", "application/x-amz-json-1.0");
    let response = send(lab, request, body.to_string()).await;
    (response.status().as_u16(), json(&response))
}

fn values(body: &Value) -> Vec<f64> {
    let values = body["MetricDataResults"][0]["Values"].as_array().unwrap();
    values.iter().map(|value| value.as_f64().unwrap()).collect()
}

async fn ask_cbor(lab: &Lab, body: &Value) -> (u16, Cbor) {
    let timed = |name: &str| Cbor::Tag(1, Box::new(Cbor::Float(body[name].as_f64().unwrap())));
    let mut map = Cbor::serialized(body).unwrap();
    for (name, value) in map.as_map_mut().unwrap() {
        if let Some(name @ ("StartTime" | "EndTime")) = name.as_text() {
            *value = timed(name);
        }
    }
    let mut bytes = Vec::new();
    ciborium::into_writer(&map, &mut bytes).unwrap();
    let uri = "/service/GraniteServiceVersion20100801/operation/GetMetricData";
    let request = signed(ACCOUNT, "monitoring", "POST", uri)
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("content-type", "application/cbor");
    let response = send(lab, request, bytes).await;
    assert_eq!(response.headers()["smithy-protocol"], "rpc-v2-cbor");
    (
        response.status().as_u16(),
        ciborium::from_reader(&response.body()[..]).unwrap(),
    )
}

fn member<'a>(map: &'a Cbor, name: &str) -> &'a Cbor {
    &map.as_map()
        .unwrap()
        .iter()
        .find(|(key, _)| key.as_text() == Some(name))
        .unwrap()
        .1
}

#[tokio::test(start_paused = true)]
async fn three_protocols_give_the_same_points() {
    let lab = traced_lab(WORKLOAD);
    let (status, plain) = ask(&lab, &body(300, SEVEN, SEVEN + 600)).await;
    assert_eq!(status, 200, "{plain}");
    let expected = values(&plain);
    assert_eq!(expected.len(), 2, "{plain}");
    assert!(expected.iter().all(|value| *value > 0.0));
    let times = &plain["MetricDataResults"][0]["Timestamps"];
    assert_eq!(
        times,
        &serde_json::json!([SEVEN + 300, SEVEN]),
        "newest first"
    );
    let (_, binary) = ask_cbor(&lab, &body(300, SEVEN, SEVEN + 600)).await;
    let result = &member(&binary, "MetricDataResults").as_array().unwrap()[0];
    let binary = member(result, "Values").as_array().unwrap();
    assert_eq!(
        binary
            .iter()
            .map(|value| value.as_float().unwrap())
            .collect::<Vec<_>>(),
        expected
    );
    let time = &member(result, "Timestamps").as_array().unwrap()[1];
    assert_eq!(time, &Cbor::Tag(1, Box::new(Cbor::Integer(SEVEN.into()))));
    let (status, text) = query(&lab, "monitoring", FORM).await;
    assert_eq!(status, 200, "{text}");
    assert!(
        text.contains("<member>2026-11-02T07:05:00Z</member>"),
        "{text}"
    );
    assert!(
        text.contains(&format!("<Values><member>{}</member>", expected[0])),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn pages_join_to_the_whole_although_time_passes() {
    let lab = traced_lab(WORKLOAD);
    let mut wanted = body(60, SEVEN, SEVEN + 7200);
    let whole = values(&ask(&lab, &wanted).await.1);
    wanted["MaxDatapoints"] = 7.into();
    let (mut joined, mut pages) = (Vec::new(), 0);
    loop {
        let (_, page) = ask(&lab, &wanted).await;
        joined.extend(values(&page));
        pages += 1;
        let status = if page.get("NextToken").is_some() {
            "PartialData"
        } else {
            "Complete"
        };
        assert_eq!(page["MetricDataResults"][0]["StatusCode"], status);
        let Some(next) = page.get("NextToken") else {
            break;
        };
        wanted["NextToken"] = next.clone();
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
    assert_eq!(pages, whole.len().div_ceil(7));
    assert_eq!(joined, whole);
}

#[tokio::test(start_paused = true)]
async fn a_minute_shows_up_some_time_after_its_end() {
    let lab = traced_lab(&format!(
        "{WORKLOAD}[service]\nmetric_delay_seconds = {{ median = 90.0, sigma = 0.0 }}"
    ));
    let now = SEVEN + 3600;
    let count = async || values(&ask(&lab, &body(60, now - 600, now + 600)).await.1).len();
    assert_eq!(
        count().await,
        8,
        "10 minutes less the last 90 seconds, whole minutes"
    );
    tokio::time::sleep(std::time::Duration::from_secs(31)).await;
    assert_eq!(count().await, 9);
}

#[tokio::test(start_paused = true)]
async fn old_minutes_need_a_coarser_period() {
    let lab = traced_lab(WORKLOAD);
    let old = SEVEN - 20 * 86_400;
    assert_eq!(
        values(&ask(&lab, &body(60, old, old + 600)).await.1).len(),
        0
    );
    assert_eq!(
        values(&ask(&lab, &body(300, old, old + 600)).await.1).len(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_empty() {
    let lab = traced_lab(WORKLOAD);
    let mut other = body(60, SEVEN, SEVEN + 600);
    other["MetricDataQueries"][0]["MetricStat"]["Metric"]["Dimensions"][0]["Value"] =
        "vol-0none".into();
    let (status, answer) = ask(&lab, &other).await;
    assert_eq!((status, values(&answer).len()), (200, 0));
    let mut reads = body(60, SEVEN, SEVEN + 600);
    reads["MetricDataQueries"][0]["MetricStat"]["Metric"]["MetricName"] = "VolumeReadBytes".into();
    assert_eq!(
        values(&ask(&lab, &reads).await.1),
        [0.0; 10],
        "the lab's workloads only write"
    );
}

#[tokio::test(start_paused = true)]
async fn bad_requests_are_refused() {
    let lab = traced_lab("");
    let good = body(60, SEVEN, SEVEN + 600);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed
    };
    for (bad, code) in [
        (with(&|b| b["EndTime"] = SEVEN.into()), "ValidationError"),
        (with(&|b| b["StartTime"] = Value::Null), "MissingParameter"),
        (with(&|b| b["StartTime"] = "soon".into()), "ValidationError"),
        (
            with(&|b| b["MetricDataQueries"] = Value::Array(Vec::new())),
            "MissingParameter",
        ),
        (
            with(&|b| b["MetricDataQueries"] = vec![b["MetricDataQueries"][0].clone(); 501].into()),
            "ValidationError",
        ),
        (
            with(&|b| b["MetricDataQueries"][0]["MetricStat"]["Period"] = 61.into()),
            "ValidationError",
        ),
        (
            with(&|b| b["MetricDataQueries"][0]["MetricStat"]["Stat"] = "p99".into()),
            "ValidationError",
        ),
        (
            with(&|b| {
                b["MetricDataQueries"][0] = serde_json::json!({ "Id": "e", "Expression": "1" })
            }),
            "ValidationError",
        ),
        (with(&|b| b["MaxDatapoints"] = 0.into()), "ValidationError"),
        (
            with(&|b| b["NextToken"] = "AAAA".into()),
            "InvalidNextToken",
        ),
    ] {
        let (status, answer) = ask(&lab, &bad).await;
        assert_eq!(
            (status, answer["__type"].as_str()),
            (400, Some(code)),
            "{bad}"
        );
    }
    let (status, refused) = ask_cbor(&lab, &with(&|b| b["NextToken"] = "AAAA".into())).await;
    assert_eq!(
        (status, member(&refused, "__type").as_text()),
        (400, Some("InvalidNextToken"))
    );
}
