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

/// Escapes text for HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
