//! A fleet's timeline as an SVG picture: a line per instance from base to cutover, and below it the use of the
//! limit that sets the pace. It must not know where the picture is saved.

use snapmigrate_models::fleet::{FleetPlan, LimitUse, PlannedInstance};
use snapmigrate_models::units::{Timestamp, epoch_seconds};

const LEFT: f64 = 150.0;
const TOP: f64 = 64.0;
const WIDTH: f64 = 1040.0;
/// Height of all lines together, and of one where there is room.
const LINES: f64 = 560.0;
const LINE: f64 = 14.0;
const USE: f64 = 110.0;
const GAP: f64 = 56.0;

const BASE: &str = "#2563a8";
const ROUNDS: &str = "#bcd4ee";
const CUTOVER: &str = "#c2571a";
const GREY: &str = "#777777";
const INK: &str = "#222222";

const DAY: f64 = 86_400.0;
/// Most days that are named below the picture.
const NAMED_DAYS: f64 = 14.0;

/// The picture as SVG text.
#[must_use]
pub fn timeline(fleet: &FleetPlan) -> String {
    let time = Time::of(fleet);
    let height = (LINE * fleet.instances.len() as f64).min(LINES);
    let below = TOP + height + GAP;
    let limit = fleet
        .limits
        .iter()
        .max_by(|a, b| a.full_hours.total_cmp(&b.full_hours));
    let size = (LEFT + WIDTH + 40.0, below + USE + 60.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"{w}\" height=\"{h}\" fill=\"white\"/>\n{}{}{}{}</svg>\n",
        head(fleet),
        time.days(TOP, height, below),
        lines(fleet, &time, height),
        limit.map_or_else(String::new, |limit| taken(limit, &time, below)),
        w = size.0,
        h = size.1,
    )
}

/// Where points in time lie.
struct Time {
    from: f64,
    to: f64,
}

impl Time {
    fn of(fleet: &FleetPlan) -> Self {
        let (from, to) = (
            epoch_seconds(fleet.span.start),
            epoch_seconds(fleet.span.end),
        );
        Self {
            from,
            to: to.max(from + 3600.0),
        }
    }

    fn x(&self, at: Timestamp) -> f64 {
        self.at(epoch_seconds(at))
    }

    fn at(&self, seconds: f64) -> f64 {
        let share = (seconds - self.from) / (self.to - self.from);
        LEFT + share.clamp(0.0, 1.0) * WIDTH
    }

    /// A line for each midnight, named where there is room.
    fn days(&self, top: f64, height: f64, below: f64) -> String {
        let every = ((self.to - self.from) / DAY / NAMED_DAYS).ceil().max(1.0) * DAY;
        let mut day = (self.from / DAY).ceil() * DAY;
        let mut out = String::new();
        while day < self.to {
            let x = self.at(day);
            let name = snapmigrate_models::units::at_epoch_seconds(day).format("%a %d %b");
            out += &format!(
                "<path d=\"M{x:.1} {top:.1}V{:.1}M{x:.1} {below:.1}v{USE}\" stroke=\"#dddddd\"/>\n",
                top + height
            );
            out += &text(x, top + height + 18.0, "middle", &name.to_string());
            day += every;
        }
        out
    }
}

fn head(fleet: &FleetPlan) -> String {
    let title = format!(
        "{}: {} instances, {}",
        fleet.name,
        fleet.instances.len(),
        fleet.binding_constraint
    );
    let mut out = format!(
        "<g font-size=\"13\">{}</g>\n",
        text(LEFT, 24.0, "start", &title)
    );
    let mut x = LEFT;
    let key = [
        (BASE, "base, from its start until it is in the target (P90)"),
        (ROUNDS, "rounds"),
        (CUTOVER, "window of the cutover until it is over (P99)"),
    ];
    for (colour, words) in key {
        out += &format!(
            "<rect x=\"{x:.1}\" y=\"38\" width=\"14\" height=\"10\" fill=\"{colour}\"/>\n"
        );
        out += &text(x + 19.0, 47.0, "start", words);
        x += 44.0 + 6.3 * words.len() as f64;
    }
    out
}

/// A line per instance, in order of cutover.
fn lines(fleet: &FleetPlan, time: &Time, height: f64) -> String {
    let count = fleet.instances.len().max(1);
    let step = height / count as f64;
    let named = step >= 10.0;
    let mut out = String::new();
    for (one, k) in fleet.instances.iter().zip(0_u32..) {
        let y = TOP + f64::from(k) * step;
        out += &bars(one, time, (y, (step * 0.8).max(0.35)));
        if named {
            out += &text(LEFT - 6.0, y + step * 0.8, "end", one.instance.as_str());
        }
    }
    if !named {
        let words = format!("{count} instances");
        out += &text(LEFT - 6.0, TOP + height / 2.0, "end", &words);
    }
    out
}

fn bars(one: &PlannedInstance, time: &Time, (y, thick): (f64, f64)) -> String {
    let bar = |from: Timestamp, to: Timestamp, colour: &str| {
        let (x, end) = (time.x(from), time.x(to));
        let wide = (end - x).max(0.6);
        format!(
            "<rect x=\"{x:.1}\" y=\"{y:.2}\" width=\"{wide:.1}\" height=\"{thick:.2}\" fill=\"{colour}\"/>"
        )
    };
    let ready = one.base_ready.min(one.window.start);
    let domain = one.domain.as_deref().unwrap_or("none");
    format!(
        "<g><title>{}, domain {domain}, {} volumes</title>{}{}{}</g>\n",
        one.instance,
        one.volumes,
        bar(ready, one.window.start, ROUNDS),
        bar(one.base_start, ready, BASE),
        bar(one.window.start, one.over_by, CUTOVER)
    )
}

/// How much of a limit is taken over time.
fn taken(limit: &LimitUse, time: &Time, top: f64) -> String {
    let bottom = top + USE;
    let y = |used: f64| bottom - used / limit.allowed.max(1e-9) * USE * 0.9;
    let mut path = format!("M{LEFT:.1} {bottom:.1}");
    for step in &limit.steps {
        path += &format!("H{:.1}V{:.1}", time.x(step.at), y(step.used));
    }
    let end = LEFT + WIDTH;
    let full = y(limit.allowed);
    let words = format!(
        "{}: the most of each hour, {:.0} {} allowed",
        limit.limit, limit.allowed, limit.unit
    );
    format!(
        "<path d=\"{path}H{end:.1}V{bottom:.1}Z\" fill=\"{ROUNDS}\" stroke=\"{BASE}\" stroke-width=\"0.8\"/>\n\
         <path d=\"M{LEFT:.1} {full:.1}H{end:.1}\" stroke=\"{GREY}\" stroke-dasharray=\"6 4\"/>\n{}{}{}",
        text(
            LEFT - 6.0,
            full + 4.0,
            "end",
            &format!("{:.0}", limit.allowed)
        ),
        text(LEFT - 6.0, bottom, "end", "0"),
        text(LEFT, bottom + 22.0, "start", &words)
    )
}

fn text(x: f64, y: f64, anchor: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>\n")
}
