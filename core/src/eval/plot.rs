//! Bars with error bars, as SVG.

use std::fmt::Write as _;

use super::report::escape;

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

/// Horizontal bars under each other, from 0.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|b| b.value + 2.0 * b.error).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LEFT + WIDTH * (value / most).max(0.0);
    let height = ROW * bars.len() as f64 + 8.0;
    let mut out = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' role='img' aria-label='{}' width='{}' height='{height}' font-family='sans-serif' font-size='13'>",
        escape(title).replace('\'', "&#39;"),
        LEFT + WIDTH + 60.0
    );
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
