//! The second section: predicted items, each with its evidence drawn as paths.

use locket::{Evidence, Pack, Predicted, Via};

use super::page::{Html, count, html, put, thousands};

/// Maximum number of paths of a drawing.
const PATHS: usize = 3;
/// Smallest share of the score that is drawn.
const SHARE: f32 = 0.05;
/// Width of a drawing, the text of a phone at its natural size.
const WIDTH: usize = 340;
/// Height of the head of a drawing, and of one path.
const HEAD: usize = 46;
const LANE: usize = 82;
/// Maximum length of a name in a drawing, in narrow characters.
const NAME: usize = 36;

/// Returns the section's body.
pub fn body(pack: &Pack, predicted: &[Predicted]) -> Html {
    let meta = pack.meta();
    let mut out = html!(
        "<p>The pack has {} and {} of the population. Each path leads from the user over a text of theirs and a link in the \
         graph to the predicted item. A thicker line is a larger share of the score; a dashed box is the whole population. \
         Scores compare the items of this list only.</p>\n",
        count(pack.items(), "item", "items"),
        count(meta.users, "person", "people"),
    );
    if predicted.is_empty() {
        put!(out, "<p class=\"empty\">Nothing to predict: every item of the pack is in the history.</p>\n");
        return out;
    }
    let top = predicted.iter().map(|p| p.score).fold(0.0, f32::max);
    put!(out, "<ol class=\"cards\">\n");
    for (n, p) in (1..).zip(predicted) {
        put!(out, "{}", card(pack, n, p, top));
    }
    put!(out, "</ol>\n");
    out
}

fn card(pack: &Pack, rank: usize, p: &Predicted, top: f32) -> Html {
    let name = p.item_title.as_deref().unwrap_or(&p.item);
    let (drawn, rest): (Vec<&Evidence>, Vec<&Evidence>) = p.paths.iter().partition(|path| path.share.abs() >= SHARE);
    let more = rest.len() + drawn.len().saturating_sub(PATHS);
    let drawn = &drawn[..drawn.len().min(PATHS)];
    let part = if top > 0.0 { (100.0 * p.score / top).clamp(0.0, 100.0) } else { 0.0 };
    let mut out = html!(
        "<li class=\"card\"><h3><span class=\"rank\">{}</span> <bdi>{}</bdi></h3>\n<p class=\"score\"><span>Score {}</span>\
         <span class=\"bar\"><span style=\"width:{}%\"></span></span></p>\n{}",
        rank,
        name,
        format!("{:.3}", p.score),
        format!("{part:.0}"),
        drawing(pack, name, drawn),
    );
    if more > 0 {
        let left = 100.0 * (1.0 - drawn.iter().map(|path| path.share).sum::<f32>());
        let smaller = count(more, "smaller path has", "smaller paths have");
        put!(out, "<p class=\"meta\">{} the other {} %.</p>\n", smaller, format!("{left:.0}"));
    }
    put!(out, "</li>\n");
    out
}

/// Returns the name of an item by its id.
fn title(pack: &Pack, id: &str) -> String {
    pack.find(id).and_then(|item| pack.item_title(item)).unwrap_or(id).to_owned()
}

/// Draws the paths: the user at the top, one lane for each path, the predicted item at the bottom.
/// The left rail leads from the user to the own items, the right rail to the predicted item.
fn drawing(pack: &Pack, name: &str, paths: &[&Evidence]) -> Html {
    let bottom = HEAD + LANE * paths.len() + 12;
    let names: Vec<Option<String>> = paths.iter().map(|p| p.from.as_deref().map(|id| title(pack, id))).collect();
    let spoken: Vec<String> = paths
        .iter()
        .zip(&names)
        .map(|(path, from)| {
            let from = from.as_deref().unwrap_or("everyone");
            format!("{:.0} %: {from}, {}, {name}", 100.0 * path.share, via(&path.via).1)
        })
        .collect();
    let mut out = html!(
        "<svg class=\"graph\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
        WIDTH,
        bottom + 42,
        spoken.join("; "),
    );
    let lane = |n: usize| HEAD + LANE * n;
    // Rails first, so that boxes and labels lie above them.
    if let Some(last) = names.iter().rposition(Option::is_some) {
        put!(out, "<path class=\"rail\" d=\"M20 36V{}\"/>", lane(last) + 4);
    }
    for (n, (path, from)) in paths.iter().zip(&names).enumerate() {
        let y = lane(n);
        let thick = format!("{:.1}", (1.5 + 12.0 * path.share.abs()).min(8.0));
        let against = if path.share < 0.0 { "edge against" } else { "edge" };
        if from.is_some() {
            put!(out, "<path class=\"rail\" d=\"M20 {}q0 12 12 12H46\"/>", y + 4);
        }
        put!(
            out,
            "<path class=\"{}\" stroke-width=\"{}\" d=\"M64 {}V{}q0 8 8 8H316q10 0 10 10V{}\"/>",
            against,
            thick,
            y + 30,
            y + 52,
            bottom - 8,
        );
        let (kind, label) = match from {
            Some(name) => ("own", name.as_str()),
            None => ("all", "Everyone in the pack"),
        };
        put!(
            out,
            "<g><title>{}</title><rect class=\"{}\" x=\"46\" y=\"{}\" width=\"270\" height=\"30\" rx=\"8\"/>",
            label,
            kind,
            y + 1
        );
        put!(out, "<text x=\"58\" y=\"{}\">{}</text></g>\n", y + 21, clipped(label, NAME));
        let (icon, what) = via(&path.via);
        put!(
            out,
            "<g transform=\"translate(64 {})\"><circle class=\"node\" r=\"11\"/><path class=\"icon\" d=\"{}\"/></g>",
            y + 56,
            icon
        );
        put!(
            out,
            "<g><title>{}</title><text class=\"via\" x=\"82\" y=\"{}\">{}</text></g>\
             <text class=\"share\" x=\"316\" y=\"{}\">{} %</text>\n",
            what,
            y + 52,
            clipped(&what, 36),
            y + 76,
            format!("{:.0}", 100.0 * path.share),
        );
    }
    if !paths.is_empty() {
        put!(out, "<path class=\"arrow\" d=\"M316 {}l10 10 10-10z\"/>", bottom - 10);
    }
    put!(out, "<circle class=\"you\" cx=\"20\" cy=\"20\" r=\"17\"/><text class=\"you\" x=\"20\" y=\"24\">You</text>");
    put!(
        out,
        "<g><title>{}</title><rect class=\"predicted\" x=\"1\" y=\"{}\" width=\"338\" height=\"34\" rx=\"8\"/>",
        name,
        bottom
    );
    put!(
        out,
        "<text class=\"predicted\" x=\"14\" y=\"{}\">{}</text></g></svg>\n",
        bottom + 22,
        clipped(name, NAME + 6)
    );
    out
}

/// Returns the drawing and the words of a link.
fn via(via: &Via) -> (&'static str, String) {
    const PEOPLE: &str =
        "M-2.5-5.5a2.3 2.3 0 1 0 .01 0M-7 5c0-6 9-6 9 0M4-4.5a1.9 1.9 0 1 0 .01 0M4 1.2c2.5 0 3.6 1.4 3.6 3.6";
    const WAVE: &str = "M-7-1.5c2.3-4 4.7-4 7 0s4.7 4 7 0M-7 3c2.3-4 4.7-4 7 0s4.7 4 7 0";
    const WORDS: &str = "M-6-4H6M-6 0H6M-6 4H2";
    const GRID: &str = "M-5-5h4v4h-4zM1-5h4v4h-4zM-5 1h4v4h-4zM1 1h4v4h-4z";
    const BARS: &str = "M-5 5V1M0 5V-2M5 5V-5";
    match via {
        Via::People(1) => (PEOPLE, "one person met both".into()),
        Via::People(n) => (PEOPLE, format!("{} people met both", thousands(*n))),
        Via::Taste => (WAVE, "people with shared taste".into()),
        Via::Content(words) => (WORDS, format!("shared words: {}", words.join(", "))),
        Via::Category(name) => (GRID, format!("same category: {name}")),
        Via::Returning(n) => (BARS, format!("met by {} who met more items", count(*n, "person", "people"))),
        Via::Popularity(n) => (BARS, format!("met by {}", count(*n, "person", "people"))),
    }
}

/// Returns a text clipped to `most` narrow characters, where wide ones count twice.
fn clipped(text: &str, most: usize) -> String {
    let wide =
        |c: char| if matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{ffdc}' | '\u{1f000}'..) { 2 } else { 1 };
    let mut left = most;
    let mut out = String::new();
    for c in text.chars() {
        let Some(rest) = left.checked_sub(wide(c)).filter(|rest| *rest > 0 || text.len() == out.len() + c.len_utf8())
        else {
            out.push('\u{2026}');
            break;
        };
        left = rest;
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_clipped_by_their_width() {
        assert_eq!(clipped("short", 5), "short");
        assert_eq!(clipped("longer", 5), "long\u{2026}");
        assert_eq!(clipped("茶茶茶", 5), "茶茶\u{2026}");
        assert_eq!(clipped("", 5), "");
    }
}
