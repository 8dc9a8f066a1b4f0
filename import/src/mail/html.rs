//! The text of an HTML mail, with `>` before quoted lines. One pass, linear time.

use mail_parser::decoders::html::add_html_token;

/// Maximum depth of quotes that is written.
const DEEPEST: usize = 5;
/// Maximum length of an entity such as `&nbsp;` in bytes.
const ENTITY: usize = 32;

/// Elements whose content is no text.
const HIDDEN: [&str; 5] = ["head", "style", "script", "title", "template"];
/// Elements that begin a line of their own.
const BLOCKS: [&str; 22] = [
    "p",
    "div",
    "br",
    "li",
    "tr",
    "ul",
    "ol",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "blockquote",
    "section",
    "article",
    "header",
    "footer",
    "pre",
    "dd",
];

/// Returns the text.
pub(super) fn text(html: &str) -> String {
    let mut page = Page::default();
    let mut rest = html;
    // A `<` without `>` is text; the search for another one would find none either.
    let mut closes = true;
    while let Some(at) = rest.find('<') {
        page.text(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            match comment.find("-->") {
                Some(end) => rest = &comment[end + 3..],
                None => return page.finish(),
            }
            continue;
        }
        let is_tag = rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        let end = if is_tag && closes { rest.find('>') } else { None };
        match end {
            Some(end) => {
                page.tag(&rest[1..end]);
                rest = &rest[end + 1..];
            }
            None => {
                closes &= !is_tag;
                page.text("<");
                rest = &rest[1..];
            }
        }
    }
    page.text(rest);
    page.finish()
}

/// The text so far.
#[derive(Default)]
struct Page {
    out: String,
    line: String,
    quotes: usize,
    hidden: Option<&'static str>,
    /// Whether white space came since the last word of the line.
    space: bool,
}

impl Page {
    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        for (n, word) in text.split([' ', '\t', '\r', '\n', '\u{c}']).enumerate() {
            self.space |= n > 0;
            if word.is_empty() {
                continue;
            }
            if std::mem::take(&mut self.space) && !self.line.is_empty() {
                self.line.push(' ');
            }
            self.word(word);
        }
    }

    /// Adds a word with its entities.
    fn word(&mut self, mut word: &str) {
        while let Some(at) = word.find('&') {
            self.line.push_str(&word[..at]);
            word = &word[at..];
            let limit = word.len().min(ENTITY);
            let end = word.as_bytes()[..limit].iter().position(|b| *b == b';').map_or(1, |end| end + 1);
            match &word[..end] {
                "&nbsp;" | "&#160;" | "&#xa0;" | "&#xA0;" => self.line.push(' '),
                entity => add_html_token(&mut self.line, entity.as_bytes(), false),
            }
            word = &word[end..];
        }
        self.line.push_str(word);
    }

    fn tag(&mut self, tag: &str) {
        let (closing, tag) = tag.strip_prefix('/').map_or((false, tag), |tag| (true, tag));
        let end = tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len());
        let name = tag[..end].to_ascii_lowercase();
        if let Some(hidden) = self.hidden {
            self.hidden = Some(hidden).filter(|hidden| !(closing && name == *hidden));
            return;
        }
        if let (false, Some(hidden)) = (closing || tag.ends_with('/'), HIDDEN.iter().find(|h| **h == name)) {
            self.hidden = Some(hidden);
            return;
        }
        match name.as_str() {
            "td" | "th" => self.space = true,
            name if BLOCKS.contains(&name) => {
                if name == "br" || !self.line.is_empty() {
                    self.end_line();
                }
                let heading = name.len() == 2 && name.starts_with('h') && name != "hr";
                if (closing && name == "p") || heading {
                    self.empty_line();
                }
                if name == "blockquote" {
                    self.quotes = if closing { self.quotes.saturating_sub(1) } else { self.quotes + 1 };
                }
            }
            _ => {}
        }
    }

    fn mark(&mut self) {
        (0..self.quotes.min(DEEPEST)).for_each(|_| self.out.push('>'));
    }

    fn end_line(&mut self) {
        self.mark();
        if self.quotes > 0 {
            self.out.push(' ');
        }
        self.out.push_str(self.line.trim_end());
        self.out.push('\n');
        self.line.clear();
        self.space = false;
    }

    fn empty_line(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.mark();
            self.out.push('\n');
        }
    }

    fn finish(mut self) -> String {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_lines_and_marks_quotes() {
        let html = "<html><head><title>x</title><style>p { color: red }</style></head><body>\
            <p>Hi  Ada,</p><p>3 &lt; 4 &amp; caf&eacute;,<br>see\nyou&nbsp;soon &bogus; & on</p>\
            <div>Ben</div><!-- hidden --><blockquote type=cite><div>Are you <b>com</b>ing?</div></blockquote></body></html>";
        assert_eq!(text(html), "Hi Ada,\n\n3 < 4 & café,\nsee you soon &bogus; & on\n\nBen\n> Are you coming?\n");
        assert_eq!(text("a < b and <unclosed"), "a < b and <unclosed\n");
        assert_eq!(text("<script>alert('<b>')</script>fine<!-- open"), "fine\n");
    }

    #[test]
    fn hostile_pages_take_linear_time() {
        let begin = std::time::Instant::now();
        for page in ["<a", "<", "<!--", "&", "<blockquote>x", "<style>", "&#x", "<p></p>"] {
            assert!(text(&page.repeat(200_000)).len() < 8_000_000);
        }
        assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    }
}
