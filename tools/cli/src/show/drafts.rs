//! The third section's second half: the drafts with their scores, and the choice.

use std::time::Duration;

use locket::{
    GenerateRequest,
    internals::engine::{Draft, Explanation},
};

use super::page::{Html, count, facts, html, put};

/// Names of a draft's scores, and of the draft that is best by each.
const SCORES: [(&str, &str); 4] = [
    ("Agreement", "agrees most with the other drafts"),
    ("Style", "is closest to the user\u{2019}s texts"),
    ("Margin", "differs most from other people\u{2019}s texts"),
    ("Notes", "holds the notes and is likely"),
];

fn scores(draft: &Draft) -> [f64; 4] {
    [draft.score.agreement, draft.score.style, draft.score.margin, draft.score.content]
}

/// The times of a call.
pub struct Times {
    /// Loading the model.
    pub load: Duration,
    /// Prefill and decoding of all drafts.
    pub write: Duration,
}

/// Properties of the request and of all drafts that every card needs.
struct Shared {
    /// Whether there was a choice.
    several: bool,
    /// Largest absolute score.
    most: f64,
    /// Whether any draft has each score.
    used: [bool; 4],
    /// Whether the request names a recipient.
    to_recipient: bool,
}

/// Returns the drafts side by side, the reason of the choice, and the numbers of the call.
pub fn body(explained: &Explanation, request: &GenerateRequest, times: &Times) -> Html {
    let asked = request.options.candidates;
    let Explanation { drafts, best, written, .. } = explained;
    let mut out = html!("<h3>The drafts</h3>\n{}", reason(drafts, *best));
    let finished = drafts.iter().filter(|d| d.written.tokens > 0).count();
    if finished < asked {
        put!(
            out,
            "<p>{} left out: unfinished, or a repetition of an earlier text.</p>\n",
            count(asked - finished, "draft was", "drafts were")
        );
    }
    let shared = Shared {
        several: drafts.len() > 1,
        most: drafts.iter().flat_map(scores).fold(0.0, |most: f64, value| most.max(value.abs())),
        used: [0, 1, 2, 3].map(|n| drafts.iter().any(|draft| scores(draft)[n] != 0.0)),
        to_recipient: request.audience.is_some(),
    };
    put!(out, "<ol class=\"cards drafts\">\n");
    for (n, draft) in drafts.iter().enumerate() {
        put!(out, "{}", card(draft, n, n == *best, &shared));
    }
    put!(out, "</ol>\n");
    let rate = written.tokens as f64 / times.write.as_secs_f64().max(1e-9);
    put!(
        out,
        "<h3>Tokens and times</h3>\n{}",
        facts(
            false,
            [
                ("Prompt", html!("{} in the first draft\u{2019}s", tokens(written.prompt_tokens))),
                (
                    "Not read again",
                    html!(
                        "{} of all prompts: their state was shared, or kept from an earlier call",
                        tokens(written.reused_tokens)
                    ),
                ),
                ("Written", html!("{} in all drafts", tokens(written.tokens))),
                ("Loading the model", html!("{} s", seconds(times.load))),
                (
                    "Reading and writing",
                    html!(
                        "{} s, {} tokens a second",
                        seconds(times.write),
                        if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
                    )
                ),
            ]
        )
    );
    out
}

fn tokens(n: usize) -> String {
    count(n, "token", "tokens")
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

/// The letter of a draft.
fn letter(n: usize) -> String {
    char::from_u32('A' as u32 + n as u32)
        .filter(char::is_ascii_uppercase)
        .map_or_else(|| (n + 1).to_string(), String::from)
}

/// Returns why the best draft was taken.
fn reason(drafts: &[Draft], best: usize) -> Html {
    if drafts.len() < 2 {
        return html!("<p>There was one draft, so there was no choice. <code>--candidates</code> asks for more.</p>\n");
    }
    let first = |n: usize| {
        let value = |draft: &Draft| scores(draft)[n];
        let top = drafts.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
        let differ = drafts.iter().any(|draft| value(draft) < top);
        (differ && value(&drafts[best]) >= top).then_some(SCORES[n].1)
    };
    let reasons: Vec<&str> = (0..SCORES.len()).filter_map(first).collect();
    let total = drafts[best].score.total();
    let ties = drafts.iter().filter(|draft| draft.score.total() == total).count() > 1;
    let mut out = html!(
        "<p>Draft <b>{}</b> was taken, because its sum of scores is the highest{}.",
        letter(best),
        if ties { ", and it is the first with that sum" } else { "" }
    );
    match &reasons[..] {
        [] => put!(out, " It is first in no single score."),
        [one] => put!(out, " It {}.", one),
        [one, two] => put!(out, " It {} and {}.", one, two),
        [one, two, rest @ ..] => put!(out, " It {}, {} and {}.", one, two, rest.join(" and ")),
    }
    put!(
        out,
        "</p>\n<details class=\"what\"><summary>What the scores mean</summary>\n<ul><li><b>Agreement</b>: the words that a draft \
         shares with the other drafts; for a rating, minus its mean \
         distance from theirs.</li><li><b>Style</b>: its likeness to the user\u{2019}s texts, by sequences of \
         letters.</li><li><b>Margin</b>: that likeness minus the likeness to similar texts by other people, times \
         1.5.</li><li><b>Notes</b>: twice the share of the notes in the draft, plus half of the mean \
         log-probability of its tokens.</li></ul></details>\n"
    );
    out
}

fn card(draft: &Draft, n: usize, taken: bool, shared: &Shared) -> Html {
    let Draft { written, score } = draft;
    let &Shared { several, most, used, to_recipient } = shared;
    let (class, badge) = match (taken, several) {
        (true, true) => ("card taken", html!(" <i class=\"badge taken\">taken</i>")),
        (true, false) => ("card taken", Html::default()),
        (false, _) => ("card", Html::default()),
    };
    let mut out = html!("<li class=\"{}\"><h4>Draft {}{}</h4>\n", class, letter(n), badge);
    if let Some(title) = &written.title {
        put!(out, "<p class=\"title\" dir=\"auto\" lang=\"\">{}</p>", title);
    }
    if let Some(text) = &written.text {
        put!(out, "<p class=\"prose\" dir=\"auto\" lang=\"\">{}</p>\n", marked(text, &written.unsupported));
    }
    if let Some(rating) = written.rating {
        put!(out, "<p class=\"title\">{} of 5</p>", rating);
    }
    if !written.unsupported.is_empty() {
        let texts = if to_recipient { "an earlier text to this recipient" } else { "an earlier text" };
        put!(
            out,
            "<p class=\"warn\">Please check the marked details: they are neither in the request nor in {}.</p>\n",
            texts
        );
    }
    if let Some(path) = &written.path {
        put!(out, "<p class=\"meta\">Plan: <bdi>{}</bdi></p>\n", path.to_string());
    }
    if several {
        put!(out, "<table class=\"scores\"><tbody>\n");
        for (((name, _), value), _) in SCORES.into_iter().zip(scores(draft)).zip(used).filter(|(_, used)| *used) {
            let part = if most > 0.0 { 100.0 * value.abs() / most } else { 0.0 };
            let sign = if value < 0.0 { "bar negative" } else { "bar" };
            put!(
                out,
                "<tr><th scope=\"row\">{}</th><td class=\"wide-bar\"><span class=\"{}\"><span style=\"width:{}%\"></span></span>\
                 </td><td>{}</td></tr>\n",
                name,
                sign,
                format!("{part:.0}"),
                number(value),
            );
        }
        if used.iter().filter(|used| **used).count() > 1 {
            let sum = number(score.total());
            put!(out, "<tr class=\"sum\"><th scope=\"row\">Sum</th><td></td><td>{}</td></tr>\n", sum);
        }
        put!(out, "</tbody></table>\n");
    }
    match written.tokens {
        0 => put!(out, "<p class=\"meta\">The opening of the given text.</p>"),
        n => put!(out, "<p class=\"meta\">{}, mean log-probability {}</p>", tokens(n), number(written.log_prob)),
    }
    put!(out, "</li>\n");
    out
}

/// Returns a number with two decimals and a minus sign.
fn number(value: f64) -> String {
    let shown = format!("{value:.2}").replace('-', "\u{2212}");
    if shown == "\u{2212}0.00" { "0.00".into() } else { shown }
}

/// Returns a text with its unsupported details marked.
fn marked(text: &str, details: &[String]) -> Html {
    let mut out = Html::default();
    let mut rest = text;
    while let Some((at, detail)) = next(rest, details) {
        put!(out, "{}<mark>{}</mark>", &rest[..at], detail);
        rest = &rest[at + detail.len()..];
    }
    put!(out, "{}", rest);
    out
}

/// Returns the first place of a detail that is not a part of a longer word, the longest detail
/// first.
fn next<'d>(text: &str, details: &'d [String]) -> Option<(usize, &'d str)> {
    let alone = |at: usize, detail: &str| {
        let before = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        !before && !text[at + detail.len()..].starts_with(char::is_alphanumeric)
    };
    let place = |detail: &'d String| {
        let at = text.match_indices(detail.as_str()).map(|(at, _)| at).find(|&at| alone(at, detail))?;
        Some((at, detail.as_str()))
    };
    details
        .iter()
        .filter(|d| !d.is_empty())
        .filter_map(place)
        .min_by_key(|(at, detail)| (*at, usize::MAX - detail.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_marked_as_whole_words() {
        let details = ["3", "Ingrid", "<b>"].map(String::from);
        let shown = marked("13 of 3, and Ingrid's <b> 3", &details);
        let expected = "13 of <mark>3</mark>, and <mark>Ingrid</mark>&#39;s <mark>&lt;b&gt;</mark> <mark>3</mark>";
        assert_eq!(shown.as_str(), expected);
        assert_eq!(marked("no <details>", &[]).as_str(), "no &lt;details&gt;");
        assert_eq!(marked("x", &[String::new()]).as_str(), "x");
    }

    #[test]
    fn numbers_have_no_negative_zero() {
        assert_eq!([0.5, -0.25, -0.001].map(number).join(" "), "0.50 \u{2212}0.25 0.00");
    }
}
