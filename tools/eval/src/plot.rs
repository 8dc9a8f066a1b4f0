//! Bars and lines with error bars, as SVG.

use std::fmt::Write as _;

/// One bar.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    /// One standard error, drawn as two to each side.
    pub(super) error: f64,
}

const LEFT: f64 = 260.0;
const WIDTH: f64 = 420.0;
const ROW: f64 = 22.0;

/// Returns the opening tag of a picture.
fn open(title: &str, width: f64, height: f64) -> String {
    let title = escape(title).replace('\'', "&#39;");
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' role='img' aria-label='{title}' width='{width}' height='{height}' font-family='sans-serif' font-size='13'>"
    )
}

/// Draws horizontal bars, one per row, from 0.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|b| b.value + 2.0 * b.error).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LEFT + WIDTH * (value / most).max(0.0);
    let height = ROW * bars.len() as f64 + 8.0;
    let mut out = open(title, LEFT + WIDTH + 60.0, height);
    for (n, bar) in bars.iter().enumerate() {
        let top = ROW * n as f64 + 4.0;
        let (middle, end) = (top + ROW / 2.0 - 2.0, x(bar.value));
        let colour = if bar.label.starts_with("full") { "#2b6cb0" } else { "#a0aec0" };
        let _ = write!(
            out,
            "<text x='{:.1}' y='{:.1}' text-anchor='end'>{}</text>\
             <rect x='{LEFT}' y='{top:.1}' width='{:.1}' height='{:.1}' fill='{colour}'/>\
             <path d='M{:.1} {middle:.1}H{:.1}' stroke='#1a202c'/>\
             <text x='{:.1}' y='{:.1}'>{:.3}</text>",
            LEFT - 8.0,
            middle + 5.0,
            escape(&bar.label),
            end - LEFT,
            ROW - 5.0,
            x(bar.value - 2.0 * bar.error),
            x(bar.value + 2.0 * bar.error),
            x(bar.value + 2.0 * bar.error) + 6.0,
            middle + 5.0,
            bar.value
        );
    }
    out + "</svg>"
}

/// A line: (x, y, standard error of y), ordered by x.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64, f64)>,
}

const COLOURS: [&str; 6] = ["#2b6cb0", "#dd6b20", "#38a169", "#805ad5", "#d53f8c", "#718096"];

/// Draws lines in one diagram, with error bars of two standard errors; y from 0.
pub(super) fn lines(title: &str, lines: &[Line]) -> String {
    const HEIGHT: f64 = 240.0;
    const AXIS: f64 = 50.0;
    const TOP: f64 = 10.0;
    let points = || lines.iter().flat_map(|l| &l.points);
    let right = points().map(|p| p.0).fold(f64::MIN_POSITIVE, f64::max);
    let most = points().map(|p| p.1 + 2.0 * p.2).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| AXIS + WIDTH * value / right;
    let y = |value: f64| TOP + HEIGHT * (1.0 - value / most);
    let mut out = open(title, AXIS + WIDTH + 280.0, TOP + HEIGHT.max(18.0 * lines.len() as f64) + 30.0);
    let _ = write!(
        out,
        "<path d='M{AXIS} {TOP}V{:.1}H{:.1}' fill='none' stroke='#1a202c'/><text x='4' y='{:.1}'>{most:.2}</text>",
        y(0.0),
        x(right),
        TOP + 12.0,
    );
    let mut ticks: Vec<f64> = points().map(|p| p.0).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    for tick in ticks {
        let _ = write!(out, "<text x='{:.1}' y='{:.1}' text-anchor='middle'>{tick}</text>", x(tick), y(0.0) + 18.0);
    }
    for (n, line) in lines.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let path: Vec<String> = line.points.iter().map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1))).collect();
        let _ = write!(out, "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2'/>", path.join(" "));
        for &(at, value, error) in &line.points {
            let (low, high) = (y(value - 2.0 * error), y(value + 2.0 * error));
            let _ = write!(out, "<path d='M{:.1} {low:.1}V{high:.1}' stroke='{colour}' opacity='.5'/>", x(at));
        }
        let top = TOP + 14.0 + 18.0 * n as f64;
        let _ = write!(
            out,
            "<text x='{:.1}' y='{top:.1}' fill='{colour}'>{}</text>",
            AXIS + WIDTH + 14.0,
            escape(&line.label)
        );
    }
    out + "</svg>"
}

/// Runs as points of two measures.
pub(super) struct Plane {
    pub(super) across: Axis,
    pub(super) up: Axis,
    /// (name, value across, value up).
    pub(super) points: Vec<(String, f64, f64)>,
}

/// A measure of a plane.
pub(super) struct Axis {
    pub(super) label: &'static str,
    /// Whether less of it is better.
    pub(super) less: bool,
    pub(super) goal: Option<f64>,
}

impl Axis {
    /// Whether `a` is better than `b`.
    fn prefers(&self, a: f64, b: f64) -> bool {
        if self.less { a < b } else { a > b }
    }
}

impl Plane {
    /// Whether no other point is better in one measure and at least as good in the other.
    fn on_front(&self, (_, x, y): &(String, f64, f64)) -> bool {
        !self.points.iter().any(|(_, a, b)| {
            let (across, up) = (self.across.prefers(*a, *x), self.up.prefers(*b, *y));
            (across && !self.up.prefers(*y, *b)) || (up && !self.across.prefers(*x, *a))
        })
    }
}

/// Draws points of two measures. A line joins the Pareto front: points that no other point beats in
/// both. Dashes mark the goals.
pub(super) fn fronts(title: &str, plane: &Plane) -> String {
    const SIDE: f64 = 300.0;
    const AXIS: f64 = 60.0;
    const TOP: f64 = 12.0;
    let span = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        let margin = ((high - low) * 0.08).max(0.01);
        (low - margin, high + margin)
    };
    let (left, right) = span(&mut plane.points.iter().map(|p| p.1).chain(plane.across.goal));
    let (bottom, top) = span(&mut plane.points.iter().map(|p| p.2).chain(plane.up.goal));
    let x = |v: f64| AXIS + SIDE * (v - left) / (right - left);
    let y = |v: f64| TOP + SIDE * (top - v) / (top - bottom);
    let title = format!("{title}: {} and {}", plane.across.label, plane.up.label);
    let mut out = open(&title, AXIS + SIDE + 300.0, TOP + SIDE + 44.0);
    let better = |axis: &Axis| if axis.less { "less is better" } else { "more is better" };
    let _ = write!(
        out,
        "<path d='M{AXIS} {TOP}V{base:.1}H{:.1}' fill='none' stroke='#1a202c'/>\
         <text x='{AXIS}' y='{:.1}'>{left:.2}</text><text x='{:.1}' y='{:.1}' text-anchor='end'>{right:.2}</text>\
         <text x='{:.1}' y='{:.1}' text-anchor='middle'>{} ({})</text>\
         <text x='{:.1}' y='{:.1}' text-anchor='end'>{top:.2}</text><text x='{:.1}' y='{base:.1}' text-anchor='end'>{bottom:.2}</text>\
         <text transform='translate(16 {:.1}) rotate(-90)' text-anchor='middle'>{} ({})</text>",
        AXIS + SIDE,
        TOP + SIDE + 16.0,
        AXIS + SIDE,
        TOP + SIDE + 16.0,
        AXIS + SIDE / 2.0,
        TOP + SIDE + 34.0,
        plane.across.label,
        better(&plane.across),
        AXIS - 6.0,
        TOP + 10.0,
        AXIS - 6.0,
        TOP + SIDE / 2.0,
        plane.up.label,
        better(&plane.up),
        base = TOP + SIDE,
    );
    for (goal, across) in [(plane.across.goal, true), (plane.up.goal, false)] {
        let Some(goal) = goal else { continue };
        let path = if across {
            format!("M{:.1} {TOP}V{:.1}", x(goal), TOP + SIDE)
        } else {
            format!("M{AXIS} {:.1}H{:.1}", y(goal), AXIS + SIDE)
        };
        let _ = write!(out, "<path d='{path}' stroke='#38a169' stroke-dasharray='4 4'/>");
    }
    let mut front: Vec<&(String, f64, f64)> = plane.points.iter().filter(|p| plane.on_front(p)).collect();
    front.sort_by(|a, b| a.1.total_cmp(&b.1));
    let path: Vec<String> = front.iter().map(|p| format!("{:.1},{:.1}", x(p.1), y(p.2))).collect();
    let _ = write!(out, "<polyline points='{}' fill='none' stroke='#2b6cb0'/>", path.join(" "));
    for point in &plane.points {
        let colour = if plane.on_front(point) { "#2b6cb0" } else { "#a0aec0" };
        let (at, height) = (x(point.1), y(point.2));
        let _ = write!(
            out,
            "<circle cx='{at:.1}' cy='{height:.1}' r='4' fill='{colour}'/><text x='{:.1}' y='{:.1}' font-size='11'>{}</text>",
            at + 7.0,
            height + 4.0,
            escape(&point.0)
        );
    }
    out + "</svg>"
}

/// Escapes text for HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_another_beats_is_not_on_the_front() {
        let axis = |label, less| Axis { label, less, goal: Some(0.5) };
        let points = [("good", 0.6, 0.3), ("plain", 0.7, 0.4), ("worse", 0.7, 0.3), ("same", 0.6, 0.3)];
        let points = points.map(|(name, x, y)| (name.to_owned(), x, y)).to_vec();
        let plane = Plane { across: axis("AUC", true), up: axis("ROUGE-1", false), points };
        let front: Vec<bool> = plane.points.iter().map(|p| plane.on_front(p)).collect();
        assert_eq!(front, [true, true, false, true]);
        let drawn = fronts("chat", &plane);
        assert_eq!(drawn.matches("<circle").count(), 4);
        assert_eq!(drawn.matches("stroke-dasharray").count(), 2, "both goals");
        assert!(drawn.contains("AUC (less is better)"), "{drawn}");
    }
}
