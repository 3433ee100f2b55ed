//! A backtest as an SVG picture: on the left the forecast of one point in time with its band and what came, on the
//! right every prediction against what came. It must not know where the picture is saved.

use snapmigrate_models::backtest::{Backtest, Picture, Prediction};

use super::units::{bytes, duration};

const PANEL: (f64, f64) = (430.0, 330.0);
const LEFT: (f64, f64) = (90.0, 70.0);
const RIGHT: (f64, f64) = (640.0, 70.0);
const SIZE: (f64, f64) = (1100.0, 500.0);

const BLUE: &str = "#2563a8";
const PALE: &str = "#bcd4ee";
const ORANGE: &str = "#c2571a";
const GREY: &str = "#777777";
const INK: &str = "#222222";

/// The picture as SVG text.
#[must_use]
pub fn plot(found: &Backtest, picture: &Picture) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"{w}\" height=\"{h}\" fill=\"white\"/>\n{}{}</svg>\n",
        growth(picture),
        scatter(&found.predictions),
        w = SIZE.0,
        h = SIZE.1,
    )
}

/// Where values lie within a panel.
struct Axis {
    from: f64,
    to: f64,
    log: bool,
}

impl Axis {
    fn share(&self, value: f64) -> f64 {
        let place = |v: f64| if self.log { v.max(self.from).ln() } else { v };
        let span = place(self.to) - place(self.from);
        ((place(value) - place(self.from)) / span.max(1e-12)).clamp(0.0, 1.0)
    }
}

struct Panel {
    at: (f64, f64),
    x: Axis,
    y: Axis,
}

impl Panel {
    fn point(&self, x: f64, y: f64) -> (f64, f64) {
        let (across, up) = (self.x.share(x), self.y.share(y));
        (
            self.at.0 + across * PANEL.0,
            self.at.1 + (1.0 - up) * PANEL.1,
        )
    }

    fn line(&self, points: impl Iterator<Item = (f64, f64)>, style: &str) -> String {
        format!(
            "<polyline points=\"{}\" fill=\"none\" {style}/>\n",
            self.path(points)
        )
    }

    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let places = points.map(|(x, y)| self.point(x, y));
        places
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn dot(&self, x: f64, y: f64, radius: f64, colour: &str) -> String {
        let (x, y) = self.point(x, y);
        format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\" fill-opacity=\"0.75\"/>\n"
        )
    }

    /// Frame, title, ticks and the names of the axes.
    fn frame(
        &self,
        title: &str,
        names: (&str, &str),
        ticks: (&[f64], &[f64]),
        across: fn(f64) -> String,
    ) -> String {
        let (left, top) = self.at;
        let bottom = top + PANEL.1;
        let middle = left + PANEL.0 / 2.0;
        let mut out = format!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{GREY}\"/>\n",
            PANEL.0, PANEL.1
        );
        out += &text(left, top - 34.0, "start", 14.0, title);
        out += &text(middle, bottom + 42.0, "middle", 12.0, names.0);
        out += &text(left, top - 12.0, "start", 12.0, names.1);
        for &tick in ticks.0 {
            let (x, _) = self.point(tick, self.y.from);
            out += &rule((x, bottom), (x, bottom + 5.0));
            out += &text(x, bottom + 20.0, "middle", 11.0, &across(tick));
        }
        for &tick in ticks.1 {
            let (_, y) = self.point(self.x.from, tick);
            out += &rule((left - 5.0, y), (left, y));
            out += &text(left - 9.0, y + 4.0, "end", 11.0, &bytes(tick));
        }
        out
    }
}

fn rule(from: (f64, f64), to: (f64, f64)) -> String {
    format!(
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{GREY}\"/>\n",
        from.0, from.1, to.0, to.1
    )
}

fn text(x: f64, y: f64, anchor: &str, size: f64, words: &str) -> String {
    let words = words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{words}</text>\n"
    )
}

/// The delta's growth from one origin.
fn growth(picture: &Picture) -> String {
    let longest = picture
        .curve
        .last()
        .map_or(1.0, |point| point.lag_seconds.max(1.0));
    let drawn = picture.curve.iter().map(|p| p.predicted_bytes.p95);
    let came = picture.actual.iter().map(|point| point.1);
    let highest = drawn.chain(came).fold(1.0, f64::max) * 1.08;
    let panel = Panel {
        at: LEFT,
        x: Axis {
            from: 0.0,
            to: longest,
            log: false,
        },
        y: Axis {
            from: 0.0,
            to: highest,
            log: false,
        },
    };
    let title = format!(
        "from {} of {}, {} deltas seen",
        duration(picture.start_seconds),
        picture.trace,
        picture.deltas_used
    );
    let names = ("time since the last snapshot", "delta");
    let fifths: Vec<f64> = (0..=4_u32).map(|k| longest * f64::from(k) / 4.0).collect();
    let mut out = panel.band(picture);
    out += &panel.line(
        picture
            .curve
            .iter()
            .map(|p| (p.lag_seconds, p.predicted_bytes.p50)),
        &stroke(BLUE, 2.5, ""),
    );
    let naive = picture.curve.iter().filter(|p| p.naive_bytes <= highest);
    out += &panel.line(
        naive.map(|p| (p.lag_seconds, p.naive_bytes)),
        &stroke(GREY, 1.5, "6 4"),
    );
    for &(lag, came) in &picture.actual {
        out += &panel.dot(lag, came, 3.0, ORANGE);
    }
    out += &panel.frame(&title, names, (&fifths, &round_ticks(highest)), duration);
    out + &key(
        LEFT,
        &[
            (BLUE, "forecast, median"),
            (PALE, "band from P5 to P95"),
            (GREY, "rate x time"),
            (ORANGE, "what came"),
        ],
    )
}

impl Panel {
    fn band(&self, picture: &Picture) -> String {
        let upper = picture
            .curve
            .iter()
            .map(|p| (p.lag_seconds, p.predicted_bytes.p95));
        let lower = picture
            .curve
            .iter()
            .rev()
            .map(|p| (p.lag_seconds, p.predicted_bytes.p05));
        format!(
            "<polygon points=\"{}\" fill=\"{PALE}\"/>\n",
            self.path(upper.chain(lower))
        )
    }
}

/// Every scored prediction against what came.
fn scatter(predictions: &[Prediction]) -> String {
    let scored = || predictions.iter().filter(|p| p.scored);
    let values = || {
        scored()
            .flat_map(|p| [p.predicted_bytes.p50, p.naive_bytes, p.actual_bytes])
            .filter(|v| *v > 0.0)
    };
    let low = values().fold(f64::INFINITY, f64::min).min(1e15) * 0.8;
    let high = values().fold(low * 10.0, f64::max) * 1.25;
    let axis = || Axis {
        from: low,
        to: high,
        log: true,
    };
    let panel = Panel {
        at: RIGHT,
        x: axis(),
        y: axis(),
    };
    let ticks = power_ticks(low, high);
    let mut out = panel.line(
        [(low, low), (high, high)].into_iter(),
        &stroke(INK, 1.0, ""),
    );
    for p in scored().filter(|p| p.actual_bytes > 0.0) {
        out += &panel.dot(p.actual_bytes, p.naive_bytes.max(low), 2.5, GREY);
    }
    for p in scored().filter(|p| p.actual_bytes > 0.0) {
        out += &panel.dot(p.actual_bytes, p.predicted_bytes.p50.max(low), 3.0, BLUE);
    }
    let title = format!("all {} scored windows", scored().count());
    out += &panel.frame(
        &title,
        ("what came", "what was predicted"),
        (&ticks, &ticks),
        bytes,
    );
    out + &key(
        RIGHT,
        &[
            (BLUE, "forecast, median"),
            (GREY, "rate x time"),
            (INK, "predicted = came"),
        ],
    )
}

fn stroke(colour: &str, width: f64, dashes: &str) -> String {
    format!("stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dashes}\"")
}

/// What the colours mean, below a panel.
fn key(at: (f64, f64), entries: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut x = at.0;
    for (colour, words) in entries {
        let y = at.1 + PANEL.1 + 66.0;
        out += &format!(
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"14\" height=\"10\" fill=\"{colour}\"/>\n",
            y - 9.0
        );
        out += &text(x + 19.0, y, "start", 11.0, words);
        x += 34.0 + 6.2 * words.len() as f64;
    }
    out
}

/// Up to six ticks from zero at a power of two of the unit.
fn round_ticks(highest: f64) -> Vec<f64> {
    let step = 2.0_f64.powf((highest / 5.0).max(1.0).log2().ceil());
    (0..=5_u32)
        .map(|k| step * f64::from(k))
        .filter(|tick| *tick <= highest)
        .collect()
}

/// Powers of two, at most seven of them.
fn power_ticks(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.max(1.0).log2().ceil(), high.max(2.0).log2().floor());
    let step = ((last - first) / 6.0).ceil().max(1.0);
    (0..7_u32)
        .map(|k| first + step * f64::from(k))
        .filter(|power| *power <= last)
        .map(|power| 2.0_f64.powf(power))
        .collect()
}
