//! The third section's first half: the request, the plan, and the prompt by source.

use locket::{
    GenerateRequest, Kind, ReasoningPath, Task,
    internals::{
        engine::{Counted, Explanation},
        prompt::{PromptPart, Source},
    },
};

use super::page::{Html, count, facts, html, put, thousands};

/// The sources in the order of the legend, with class, letter and name.
const SOURCES: [(Source, &str, &str, &str); 5] = [
    (Source::History, "history", "Y", "Your texts"),
    (Source::Synthetic, "synthetic", "S", "Synthetic texts"),
    (Source::Retrieved, "retrieved", "O", "Other people\u{2019}s texts"),
    (Source::Request, "request", "R", "Request"),
    (Source::Heading, "heading", "T", "Template"),
];

fn look(source: Source) -> (&'static str, &'static str, &'static str) {
    let (_, class, letter, name) = SOURCES.into_iter().find(|s| s.0 == source).unwrap_or(SOURCES[4]);
    (class, letter, name)
}

/// Returns the request as a list.
pub fn request(request: &GenerateRequest, item_title: Option<&str>) -> Html {
    let kind = &request.kind;
    let output = match request.task {
        Task::Title => "title",
        Task::Rating => "rating",
        _ => "text",
    };
    let text = |value: &str| html!("<span class=\"value\" dir=\"auto\" lang=\"\">{}</span>", value);
    let item = item_title.or(request.item_title.as_deref()).unwrap_or(&request.item);
    let given = [
        ("Item", Some(item).filter(|item| !item.is_empty())),
        ("Title", request.title.as_deref()),
        ("Text", request.text.as_deref()),
        ("In answer to", request.context.as_deref()),
        ("Recipient", request.audience.as_deref()),
        ("Notes", request.gist.as_deref()),
        ("Draft", request.draft.as_deref()),
    ];
    let mut rows = vec![("Kind", text(&kind.one)), ("Output", text(output))];
    rows.extend(given.into_iter().filter_map(|(name, value)| Some((name, text(value?)))));
    if let Some(length) = request.length {
        rows.push(("Length", text(&format!("{length:?}").to_lowercase())));
    }
    if !request.personal {
        rows.push(("History", text("not used")));
    }
    html!("<h3>The request</h3>\n{}", facts(true, rows))
}

/// Returns the plan as a path.
pub fn plan(path: &ReasoningPath) -> Html {
    let stars = format!("{} of 5 stars", path.stance);
    let (tone, length) = (format!("{:?}", path.tone).to_lowercase(), format!("{:?}", path.length).to_lowercase());
    let mut out = html!(
        "<h3>The plan</h3>\n<p>The model wrote this reasoning path before the text.</p>\n<ol class=\"plan\"><li><span>{}</span></li>\
         <li><span>{}</span></li><li><span>{}</span></li>",
        stars,
        tone,
        length
    );
    for point in &path.points {
        put!(out, "<li><span dir=\"auto\" lang=\"\">{}</span></li>", point);
    }
    put!(out, "</ol>\n");
    out
}

/// Returns the prompt by source, with its budget.
pub fn prompt(explained: &Explanation, kind: &Kind, budget: usize, drafts_differ: bool) -> Html {
    let Explanation { written, prompt, dropped, .. } = explained;
    let of = |parts: &Counted, source| -> (usize, usize) {
        let parts = parts.iter().filter(|(part, _)| part.source == source);
        parts.fold((0, 0), |(texts, tokens), (_, n)| (texts + 1, tokens + n))
    };
    let mut out =
        html!("<h3>The prompt</h3>\n<p>The model continues this text. Its parts come from different sources.");
    if drafts_differ {
        put!(out, " This is the prompt of the first draft; others leave parts of it out.");
    }
    put!(out, "</p>\n");
    let used: usize = prompt.iter().map(|(_, tokens)| tokens).sum();
    let whole = budget.max(used).max(1);
    let percent = |tokens: usize| format!("{:.2}", 100.0 * tokens as f64 / whole as f64);
    let mut bar = Html::default();
    let mut rows = Html::default();
    for (source, class, letter, name) in SOURCES {
        let (texts, tokens) = of(prompt, source);
        let (lost, lost_tokens) = of(dropped, source);
        if texts + lost == 0 {
            continue;
        }
        let shown = if tokens * 25 >= whole { letter } else { "" };
        put!(bar, "<span class=\"{}\" style=\"width:{}%\">{}</span>", class, percent(tokens), shown);
        let is_text = !matches!(source, Source::Heading | Source::Request);
        let texts = if is_text { thousands(texts) } else { String::new() };
        put!(
            rows,
            "<tr><th scope=\"row\"><span class=\"tag {}\">{}</span> {}</th><td>{}</td><td>{}</td></tr>\n",
            class,
            letter,
            name,
            texts,
            thousands(tokens),
        );
        if lost > 0 {
            put!(
                rows,
                "<tr class=\"lost\"><th scope=\"row\"><span class=\"tag {}\">{}</span> did not fit</th><td>{}</td><td>\
                 ({})</td></tr>\n",
                class,
                letter,
                thousands(lost),
                thousands(lost_tokens),
            );
        }
    }
    put!(
        out,
        "<div class=\"budget\" role=\"img\" aria-label=\"{} of {} tokens used\">{}</div>\n\
         <p class=\"meta\">{} of at most {} tokens. With the model\u{2019}s own markers the prompt has {}.</p>\n",
        thousands(used),
        thousands(budget),
        bar,
        thousands(used),
        thousands(budget),
        thousands(written.prompt_tokens),
    );
    put!(
        out,
        "<table class=\"legend\"><thead><tr><th scope=\"col\">Source</th><th scope=\"col\">Texts</th><th scope=\"col\">\
         Tokens</th></tr></thead><tbody>\n{}</tbody></table>\n",
        rows
    );
    put!(
        out,
        "<div class=\"prompt\" lang=\"\">\n{}</div>\n",
        prompt.iter().map(|(part, _)| shown(part, kind)).collect::<Html>()
    );
    if !dropped.is_empty() {
        put!(
            out,
            "<details class=\"dropped\"><summary>{} dropped: the budget was full</summary>\n<div class=\"prompt\" lang=\"\">{}\
             </div></details>\n",
            count(dropped.len(), "example", "examples"),
            dropped.iter().map(|(part, _)| shown(part, kind)).collect::<Html>(),
        );
    }
    out
}

/// Returns a part of the prompt with its letter. The labels at the start of its lines stand out.
fn shown(part: &PromptPart, kind: &Kind) -> Html {
    let (class, letter, name) = look(part.source);
    let labels = [kind.item.as_deref(), kind.title.as_deref(), Some(&kind.label), Some(&kind.context)];
    let is_label = |label: &str| labels.contains(&Some(label)) || ["Notes", "Draft", "Plan", "Rating"].contains(&label);
    let mut text = Html::default();
    for line in part.text.split_inclusive('\n') {
        match line.split_once(':').filter(|(label, _)| is_label(label)) {
            Some((label, value)) => put!(text, "<b>{}:</b>{}", label, value),
            None => put!(text, "{}", line),
        }
    }
    html!(
        "<div class=\"part {}\"><span class=\"tag\" title=\"{}\">{}</span><pre dir=\"auto\">{}</pre></div>\n",
        class,
        name,
        letter,
        text
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_out_and_values_are_escaped() {
        let part = |text: &str| shown(&part_of(text), &Kind::review());
        let shown = part("Item: a <b> & \"c\"\nReview: one: two\n\n");
        assert!(
            shown.as_str().contains("<b>Item:</b> a &lt;b&gt; &amp; &quot;c&quot;\n<b>Review:</b> one: two\n\n</pre>")
        );
        assert!(part("Other: x\n").as_str().contains(">Other: x\n</pre>"));
    }

    fn part_of(text: &str) -> PromptPart {
        PromptPart { source: Source::History, text: text.into() }
    }
}
