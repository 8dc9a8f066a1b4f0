//! Greetings and sign-offs, learnt by counting the user's texts.
//!
//! A small model greets the wrong recipient and writes on after its sign-off. The user's own
//! greeting and sign-off are therefore counted, taken out of the texts in the prompt, and put
//! around the text that the model writes.

use std::collections::HashMap;

use crate::{
    history::Interaction,
    prompt::{PromptInputs, Task},
    text,
};

/// Minimum number of texts with the same greeting or sign-off.
const TEXTS: usize = 2;
/// Maximum number of words of one line, and of a whole sign-off.
const LINE_WORDS: usize = 5;
const CLOSING_WORDS: usize = 10;
/// Maximum number of lines of a sign-off.
const CLOSING_LINES: usize = 3;

/// Takes greetings and sign-offs out of the history in `inputs`, and sets the greeting and the
/// sign-off of the output. `history` holds all of the user's texts. Only kinds with paragraphs and
/// without ratings have them.
pub fn set_formulas(inputs: &mut PromptInputs, history: &[Interaction]) {
    if inputs.task != Task::Text || inputs.kind.rated || !inputs.kind.paragraphs {
        return;
    }
    let of_kind: Vec<&Interaction> = history.iter().filter(|i| i.kind == inputs.kind.name).collect();
    let audience = inputs.ask.audience.clone();
    let to_same: Vec<&Interaction> =
        of_kind.iter().copied().filter(|i| audience.is_some() && i.audience == audience).collect();
    let greetings = Greetings::new(&of_kind);
    let closings = Closings::new(of_kind.iter().map(|i| i.text.as_str()));
    let draft_greeting =
        inputs.ask.draft.as_deref().and_then(|d| greetings.of_draft(d)).map(|(line, _)| line.to_owned());
    inputs.opening = greetings.for_recipient(&to_same, audience.as_deref(), || {
        let of_draft = draft_greeting.as_deref().and_then(name_in);
        of_draft.or_else(|| inputs.ask.context.as_deref().and_then(signed_by))
    });
    let of_same = Closings::new(to_same.iter().map(|i| i.text.as_str()));
    inputs.closing = of_same.usual().or_else(|| closings.usual()).unwrap_or_default();
    for example in inputs.history.iter_mut().filter(|e| !e.synthetic) {
        example.text = closings.without(greetings.without(&example.text)).to_owned();
    }
    if let Some(draft) = &mut inputs.ask.draft {
        let body = greetings.of_draft(draft).map_or(draft.as_str(), |(_, rest)| rest);
        *draft = closings.without(body).to_owned();
    }
    inputs.ask.gist = inputs.ask.gist.take().map(|gist| thinned(&gist, &inputs.opening, &inputs.closing));
}

/// Returns the gist without the words of greeting and sign-off, or all of it if nothing else is
/// left.
fn thinned(gist: &str, opening: &str, closing: &str) -> String {
    let formula: Vec<String> = text::words(opening).chain(text::words(closing)).collect();
    let known = |word: &str| !formula.is_empty() && text::words(word).all(|w| formula.contains(&w));
    let rest: Vec<&str> = gist.split_whitespace().filter(|word| !known(word)).collect();
    if rest.is_empty() { gist.to_owned() } else { rest.join(" ") }
}

/// Returns the greeting line of a text and the text after it, if its first line can be a greeting.
fn greeting(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let (line, rest) = text.split_once('\n')?;
    let line = line.trim_end();
    let short = (1..=LINE_WORDS).contains(&text::word_count(line));
    let opens = line.starts_with(char::is_alphabetic) && !line.ends_with(['.', '?', ';']);
    (short && opens && !text::is_blank(rest)).then(|| (line, rest.trim_start()))
}

/// Returns the lower-cased words of a line, joined by spaces.
fn plain(line: &str) -> String {
    text::words(line).collect::<Vec<_>>().join(" ")
}

/// The greetings of the texts of one kind, by their first word.
struct Greetings<'t> {
    /// Greeting lines with their text, for each first word, in order of writing.
    by_word: HashMap<String, Vec<(&'t str, &'t Interaction)>>,
    texts: usize,
}

impl<'t> Greetings<'t> {
    fn new(texts: &[&'t Interaction]) -> Self {
        let mut by_word: HashMap<String, Vec<(&str, &Interaction)>> = HashMap::new();
        for i in texts {
            let Some((line, _)) = greeting(&i.text) else { continue };
            let Some(word) = text::words(line).next() else { continue };
            by_word.entry(word).or_default().push((line, *i));
        }
        by_word.retain(|_, lines| lines.len() >= TEXTS);
        Self { by_word, texts: texts.len() }
    }

    /// Whether two texts greet with the first word of this line.
    fn knows(&self, line: &str) -> bool {
        text::words(line).next().is_some_and(|word| self.by_word.contains_key(&word))
    }

    /// Returns the greeting of a draft and the text after it. In a draft it may be on the line of the
    /// text.
    fn of_draft<'s>(&self, draft: &'s str) -> Option<(&'s str, &'s str)> {
        greeting(draft).or_else(|| {
            let (words, rest) = draft.trim_start().split_once([',', '!'])?;
            (self.knows(words) && text::word_count(words) <= LINE_WORDS && !text::is_blank(rest))
                .then(|| (words, rest.trim_start()))
        })
    }

    /// Returns a text without its greeting.
    fn without<'s>(&self, text: &'s str) -> &'s str {
        match greeting(text) {
            Some((line, rest)) if self.knows(line) => rest,
            _ => text,
        }
    }

    /// Returns the greeting for a recipient with the line breaks after it; empty if the user does
    /// not greet in at least half of the texts. `to_same` are the user's texts to this recipient.
    fn for_recipient(
        &self,
        to_same: &[&Interaction],
        audience: Option<&str>,
        name: impl FnOnce() -> Option<String>,
    ) -> String {
        let lines = to_same.iter().filter_map(|i| greeting(&i.text));
        let greetings: Vec<&str> = lines.map(|(line, _)| line).filter(|line| self.knows(line)).collect();
        if let Some(latest) = greetings.last() {
            let usual = greetings.len() * 2 >= to_same.len();
            return if usual { format!("{latest}{}", self.gap()) } else { String::new() };
        }
        // The user writes to this recipient without a greeting.
        if to_same.len() >= TEXTS {
            return String::new();
        }
        let Some(lines) = self.by_word.values().max_by_key(|lines| (lines.len(), lines[0].0)) else {
            return String::new();
        };
        let all: usize = self.by_word.values().map(Vec::len).sum();
        if all * 2 < self.texts {
            return String::new();
        }
        let line = whole_line(lines, audience).or_else(|| named_line(lines, name()));
        line.map(|line| format!("{line}{}", self.gap())).unwrap_or_default()
    }

    /// Returns the line breaks after the latest greeting.
    fn gap(&self) -> &'static str {
        let latest = self.by_word.values().flatten().max_by_key(|(_, i)| i.time);
        let after = latest.map(|(line, i)| i.text.trim_start()[line.len()..].trim_start_matches([' ', '\r']));
        let one = after
            .is_some_and(|rest| rest.starts_with('\n') && !rest[1..].trim_start_matches([' ', '\r']).starts_with('\n'));
        if one { "\n" } else { "\n\n" }
    }
}

/// Returns the usual greeting if most texts share it, whoever their recipient is.
fn whole_line(lines: &[(&str, &Interaction)], audience: Option<&str>) -> Option<String> {
    let mut forms: HashMap<String, usize> = HashMap::new();
    lines.iter().for_each(|(line, _)| *forms.entry(plain(line)).or_default() += 1);
    let (form, count) = forms.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)))?;
    let same = || lines.iter().filter(|(line, _)| plain(line) == form);
    let recipients: std::collections::BTreeSet<_> = same().map(|(_, i)| i.audience.as_deref()).collect();
    // The name of one recipient is no greeting for another one.
    let personal = audience.is_some() && recipients.len() < 2 && !recipients.contains(&None);
    let usual = count >= TEXTS && count * 5 >= lines.len() * 3 && !personal;
    usual.then(|| same().next_back().map(|(line, _)| (*line).to_owned())).flatten()
}

/// Returns the words that all greetings begin with, and the recipient's name.
fn named_line(lines: &[(&str, &Interaction)], name: Option<String>) -> Option<String> {
    let latest = lines.last()?.0;
    let end = latest.chars().next_back().filter(|c| !c.is_alphanumeric()).map(String::from).unwrap_or_default();
    let words: Vec<&str> = latest.trim_end_matches(|c: char| !c.is_alphanumeric()).split(' ').collect();
    let shared = lines.iter().map(|(line, _)| {
        let same = |(a, b): &(&&str, &str)| plain(a) == plain(b);
        words.iter().zip(line.split(' ')).take_while(same).count()
    });
    let shared = shared.min()?.min(words.len().saturating_sub(1).max(1));
    let begun = words.get(..shared).filter(|words| !words.is_empty())?.join(" ");
    match name {
        Some(name) => Some(format!("{begun} {name}{end}")),
        // "Dear" needs a name. The user's own texts tell whether a word stands alone.
        None => lines.iter().any(|(line, _)| text::word_count(line) == 1).then(|| format!("{begun}{end}")),
    }
}

/// Returns the name after the first word of a greeting.
fn name_in(greeting: &str) -> Option<String> {
    let name = greeting.split_once(' ')?.1.trim_end_matches(|c: char| !c.is_alphanumeric());
    name.starts_with(char::is_uppercase).then(|| name.to_owned())
}

/// Returns the first name under a text: its last line, if that is one to three capitalized words.
fn signed_by(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.next_back()?;
    lines.next()?;
    let word = |word: &str| word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphabetic);
    let words: Vec<&str> = last.split(' ').collect();
    (words.len() <= CLOSING_LINES && words.iter().all(|w| word(w))).then(|| words[0].to_owned())
}

/// The sign-offs of several texts.
struct Closings<'t> {
    texts: Vec<&'t str>,
    /// Number of texts with an ending, for endings of at least two texts.
    counts: HashMap<String, usize>,
}

impl<'t> Closings<'t> {
    fn new(texts: impl Iterator<Item = &'t str>) -> Self {
        let texts: Vec<&str> = texts.collect();
        let mut counts: HashMap<String, usize> = HashMap::new();
        for text in &texts {
            for at in endings(text) {
                *counts.entry(plain(&text[at..])).or_default() += 1;
            }
        }
        counts.retain(|words, count| *count >= TEXTS && !words.is_empty());
        Self { texts, counts }
    }

    /// Returns the byte of the white space before a text's sign-off. Its last line is shared with
    /// another text. The lines before it belong to it if they are shared too, or end with a comma.
    fn start(&self, text: &str) -> Option<usize> {
        let mut start = None;
        for at in endings(text) {
            let shared = self.counts.contains_key(&plain(&text[at..]));
            let first = text[at..].trim_start().lines().next().unwrap_or_default();
            if !shared && (start.is_none() || !first.trim_end().ends_with(',')) {
                break;
            }
            start = Some(at);
        }
        start
    }

    /// Returns the usual sign-off with the line breaks before it, if at least half of the texts end
    /// with the same line. Of several forms with this line, the commonest, then the latest.
    fn usual(&self) -> Option<String> {
        let mut by_line: HashMap<String, Vec<&str>> = HashMap::new();
        for text in &self.texts {
            let Some(at) = self.start(text) else { continue };
            let form = text[at..].trim_end();
            by_line.entry(plain(form.lines().next_back().unwrap_or_default())).or_default().push(form);
        }
        let (_, forms) = by_line.into_iter().max_by(|a, b| a.1.len().cmp(&b.1.len()).then(b.0.cmp(&a.0)))?;
        let count = |form: &str| forms.iter().filter(|other| plain(other) == plain(form)).count();
        let usual = forms.iter().enumerate().max_by_key(|(n, form)| (count(form), *n))?.1;
        (forms.len() >= TEXTS && forms.len() * 2 >= self.texts.len()).then(|| (*usual).to_owned())
    }

    /// Returns a text without its sign-off.
    fn without<'s>(&self, text: &'s str) -> &'s str {
        self.start(text).map_or(text, |at| &text[..at])
    }
}

/// Returns the endings of a text that can be a sign-off, shortest first: the byte of the white space
/// before each.
fn endings(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let (mut rest, mut words) = (text.trim_end(), 0);
    for _ in 0..CLOSING_LINES {
        let Some((before, line)) = rest.rsplit_once('\n') else { break };
        let count = text::word_count(line);
        words += count;
        if count > LINE_WORDS || words > CLOSING_WORDS || text::is_blank(before) {
            break;
        }
        rest = before.trim_end();
        found.push(rest.len());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::Kind,
        prompt::{Ask, Example},
    };

    fn mail(to: &str, text: &str) -> Interaction {
        Interaction::new("", text).with_kind("email".into()).with_audience(to.to_owned())
    }

    fn inputs(history: &[Interaction], ask: Ask) -> PromptInputs {
        let kind = Kind::named("email").unwrap();
        let shown = history.iter().map(Example::from).collect();
        let mut inputs = PromptInputs { kind, history: shown, ask, ..PromptInputs::default() };
        set_formulas(&mut inputs, history);
        inputs
    }

    fn history() -> Vec<Interaction> {
        vec![
            mail("a", "Hi Ada,\n\nthe parts came.\n\nBest,\nBen"),
            mail("a", "Hi Ada,\n\nit works now.\n\nBest,\nBen"),
            mail("c", "Hi Carl,\n\nsee you at noon.\n\nBest,\nBen"),
            mail("c", "Who has the key?"),
        ]
    }

    #[test]
    fn greeting_and_closing_are_the_users_to_this_recipient() {
        let to = |audience: &str| Ask { audience: Some(audience.into()), ..Ask::default() };
        let m = inputs(&history(), to("c"));
        assert_eq!((m.opening.as_str(), m.closing.as_str()), ("Hi Carl,\n\n", "\n\nBest,\nBen"));
        let texts: Vec<&str> = m.history.iter().map(|e| e.text.as_str()).collect();
        assert_eq!(texts, ["the parts came.", "it works now.", "see you at noon.", "Who has the key?"]);
        let mut plain = history();
        plain.extend(["Who has the key?", "Is it open?"].map(|text| mail("p", text)));
        plain.extend(history());
        assert_eq!(inputs(&plain, to("p")).opening, "", "nor is anybody greeted who never was");
        // Nobody's name is taken for a new recipient.
        assert_eq!(inputs(&history(), to("d")).opening, "");
        let mut alone = history();
        alone.push(mail("e", "Hi,\n\nis it open?\n\nBest,\nBen"));
        assert_eq!(inputs(&alone, to("d")).opening, "Hi,\n\n");
        let context = Some("Where is the key?\n\nThanks\nDora Field".into());
        assert_eq!(inputs(&history(), Ask { context, ..to("d") }).opening, "Hi Dora,\n\n");
        let draft = Some("Hello Emil,\n\nthe key is gone.\n\nBest,\nBen".into());
        let m = inputs(&history(), Ask { draft, ..to("e") });
        assert_eq!((m.opening.as_str(), m.ask.draft.as_deref()), ("Hi Emil,\n\n", Some("the key is gone.")));
        let m = inputs(&history(), Ask { draft: Some("Hi Emil, the key is gone.".into()), ..to("e") });
        assert_eq!((m.opening.as_str(), m.ask.draft.as_deref()), ("Hi Emil,\n\n", Some("the key is gone.")));
    }

    #[test]
    fn a_usual_greeting_stays_whole_and_notes_lose_it() {
        let all: Vec<Interaction> = ["x", "y", "z"].map(|to| mail(to, &format!("Hi all,\nnews of {to}.\n-Bo"))).into();
        let gist = Some("all news bo kettle".into());
        let m = inputs(&all, Ask { gist, audience: Some("new".into()), ..Ask::default() });
        assert_eq!((m.opening.as_str(), m.closing.as_str()), ("Hi all,\n", "\n-Bo"));
        assert_eq!(m.ask.gist.as_deref(), Some("news kettle"));
    }

    #[test]
    fn few_or_different_texts_have_no_formula() {
        let one = [mail("a", "Hi Ada,\n\nthe parts came.\n\nBest,\nBen")];
        let m = inputs(&one, Ask::default());
        assert_eq!(
            (m.opening.as_str(), m.closing.as_str(), m.history[0].text.as_str()),
            ("", "", one[0].text.as_str())
        );
        let plain = [mail("a", "The parts came."), mail("a", "It works.\nNow."), mail("b", "Who\nhas the key?")];
        let m = inputs(&plain, Ask::default());
        assert_eq!((m.opening.as_str(), m.closing.as_str()), ("", ""));
        let mut review = PromptInputs::default();
        set_formulas(&mut review, &history());
        assert_eq!(review, PromptInputs::default());
    }

    #[test]
    fn the_commonest_form_of_a_sign_off_is_taken_whole() {
        let texts = ["Yes.\n\nBest,\nBen", "No.\n\nThanks, and regards,\nBen", "Soon.\n\nBest,\nBen", "Now.\nBen"];
        let all: Vec<Interaction> = texts.map(|text| mail("a", text)).into();
        let m = inputs(&all, Ask::default());
        assert_eq!(m.closing, "\n\nBest,\nBen");
        let bodies: Vec<&str> = m.history.iter().map(|e| e.text.as_str()).collect();
        assert_eq!(bodies, ["Yes.", "No.", "Soon.", "Now."]);
    }

    #[test]
    fn multi_word_greetings_need_a_name() {
        let all = [mail("a", "Dear Ms Field,\nyes.\nBen"), mail("b", "Dear Ms Stone,\nno, not yet.\nBen")];
        let to = Some("c".to_owned());
        assert_eq!(inputs(&all, Ask { audience: to.clone(), ..Ask::default() }).opening, "");
        let context = Some("When?\n\nRose".into());
        assert_eq!(inputs(&all, Ask { audience: to, context, ..Ask::default() }).opening, "Dear Ms Rose,\n");
    }
}
