//! The frame of the page, and a writer that escapes every value.

use std::fmt;

/// HTML that is complete: values in it are escaped.
#[derive(Debug, Clone, Default)]
pub struct Html(String);

/// A value that a page can show.
pub trait Show {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// Displays a value as HTML. Text is escaped.
pub struct Shown<'v, T: Show + ?Sized>(pub &'v T);

impl<T: Show + ?Sized> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show(f)
    }
}

/// Appends HTML: `put!(html, "<p>{}</p>", text)`. Every value is escaped, unless it is [`Html`].
/// `concat!` rejects names inside the braces, which would not be escaped.
macro_rules! put {
    ($html:expr, $what:literal $(, $value:expr)* $(,)?) => {
        $html.push(format_args!(concat!($what), $($crate::show::page::Shown(&$value)),*))
    };
}

/// Returns HTML, see [`put!`].
macro_rules! html {
    ($($what:tt)*) => {{
        let mut html = $crate::show::page::Html::default();
        $crate::show::page::put!(html, $($what)*);
        html
    }};
}

pub(crate) use {html, put};

impl Html {
    /// The function of [`put!`].
    pub fn push(&mut self, what: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = fmt::Write::write_fmt(&mut self.0, what);
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(parts: I) -> Self {
        Self(parts.into_iter().map(|part| part.0).collect())
    }
}

impl Show for Html {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Show for str {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // No text can look like an address in the page's source.
                '/' => f.write_str("&#47;")?,
                '\n' | '\t' => fmt::Write::write_char(f, c)?,
                // HTML allows no control characters.
                c if c.is_control() => f.write_str("\u{fffd}")?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

impl Show for String {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().show(f)
    }
}

impl<T: Show + ?Sized> Show for &T {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).show(f)
    }
}

macro_rules! numbers {
    ($($kind:ty),*) => { $(impl Show for $kind {
        fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(self, f)
        }
    })* };
}

numbers!(u8, u64, usize, f32, f64);

/// A section of the page.
pub struct Section {
    /// The anchor.
    pub id: &'static str,
    pub title: &'static str,
    pub body: Html,
}

const STYLE: &str = include_str!("style.css");
/// Forbids everything but the page's own styles.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Returns the whole page. `name` is the store's, `made` the time of the page.
pub fn page(name: &str, made: &str, sections: &[Section]) -> Html {
    let style = Html(STYLE.to_owned());
    let policy = Html(POLICY.to_owned());
    let mut page = html!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Locket: {}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
        policy,
        name,
        style,
    );
    put!(
        page,
        "<header class=\"top\"><div class=\"brand\"><svg viewBox=\"0 0 24 24\" width=\"28\" height=\"28\" \
         aria-hidden=\"true\"><path d=\"M8.5 8V6.5a3.5 3.5 0 0 1 7 0V8\"/><path class=\"fill\" d=\"M12 21.5c-5-3.4-8-6-8-9.4\
         C4 9.7 5.8 8 8 8c1.6 0 3.1 .9 4 2.3C12.9 8.9 14.4 8 16 8c2.2 0 4 1.7 4 4.1 0 3.4-3 6-8 9.4z\"/></svg><span>Locket</span></div>\n\
         <h1>What is stored, and how a text comes about</h1>\n\
         <p class=\"meta\">Store <b dir=\"auto\">{}</b>. Made on {}, with Locket {}.</p>\n\
         <p class=\"notice\"><b>Private.</b> This page holds the texts in the clear. It loads nothing and sends nothing. \
         Keep it as safe as the store.</p>\n</header>\n",
        name,
        made,
        env!("CARGO_PKG_VERSION"),
    );
    put!(page, "<nav aria-label=\"Contents\"><ol>\n");
    for section in sections {
        put!(page, "<li><a href=\"#{}\">{}</a></li>\n", section.id, section.title);
    }
    put!(page, "</ol></nav>\n<main>\n");
    for Section { id, title, body } in sections {
        put!(
            page,
            "<section id=\"{}\" aria-labelledby=\"{}-title\">\n<h2 id=\"{}-title\">{}</h2>\n",
            id,
            id,
            id,
            title
        );
        put!(page, "{}</section>\n", body);
    }
    put!(
        page,
        "</main>\n<footer>Made by <code>locket show</code> on this machine, offline.</footer>\n</body>\n</html>\n"
    );
    page
}

/// Returns a description list of names and values. The names of a `short` list stand beside the
/// values on a phone too.
pub fn facts(short: bool, rows: impl IntoIterator<Item = (&'static str, Html)>) -> Html {
    let mut list = html!("<dl class=\"{}\">", if short { "facts short" } else { "facts" });
    for (name, value) in rows {
        put!(list, "<div><dt>{}</dt><dd>{}</dd></div>", name, value);
    }
    put!(list, "</dl>\n");
    list
}

/// Returns a user's or a model's text: its direction and language are its own.
pub fn prose(text: &str) -> Html {
    html!("<p class=\"prose\" dir=\"auto\" lang=\"\">{}</p>", text)
}

/// Returns `n` with separators of thousands.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let mut out = digits[..first].to_owned();
    for group in digits.as_bytes()[first..].chunks(3) {
        if !out.is_empty() {
            out.push(',');
        }
        out.extend(group.iter().map(|&digit| char::from(digit)));
    }
    out
}

/// Returns a count with its noun: `1 text`, `2 texts`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// Returns a size in bytes for readers.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Year, month and day (UTC) of a time in milliseconds since 1970-01-01, by Howard Hinnant's
/// `civil_from_days`.
pub fn civil(milliseconds: i64) -> (i64, u32, u32) {
    let days = milliseconds.div_euclid(86_400_000) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

/// Returns the date of a time in milliseconds, such as `2026-03-01`.
pub fn date(milliseconds: i64) -> String {
    let (year, month, day) = civil(milliseconds);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Returns a time in milliseconds as date and time of day.
pub fn moment(milliseconds: i64) -> String {
    let minutes = milliseconds.div_euclid(60_000).rem_euclid(1440);
    format!("{}, {:02}:{:02} UTC", date(milliseconds), minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_escaped() {
        let hostile = "<script>alert(\"1\")</script> ' & ]]> <!-- \0\u{7} https://a.example";
        let shown = html!("<p title=\"{}\">{}</p>", hostile, hostile.to_owned());
        let inside = shown.as_str().strip_prefix("<p title=\"").unwrap().strip_suffix("</p>").unwrap();
        let (attribute, text) = inside.split_once("\">").unwrap();
        assert_eq!(attribute, text);
        assert!(!text.contains(['<', '>', '"', '\'', '/', '\0', '\u{7}']), "{text}");
        assert!(text.starts_with("&lt;script&gt;alert(&quot;1&quot;)&lt;&#47;script&gt; &#39; &amp; ]]&gt;"), "{text}");
        assert_eq!(html!("{} {}", "a\nb\tc", "é \u{5d0} 🙂").as_str(), "a\nb\tc é \u{5d0} 🙂");
    }

    #[test]
    fn html_is_not_escaped_again() {
        let inner = html!("<b>{}</b>", "<");
        assert_eq!(html!("{}{}", inner, 3usize).as_str(), "<b>&lt;</b>3");
    }

    #[test]
    fn a_page_names_no_other_place() {
        let section = Section { id: "one", title: "One", body: html!("{}", "https://a.example <script src=x>") };
        let page = page("</title><script>", "today", &[section]);
        for outside in ["//", "http:", "https:/", "src=\"", "url(", "<script", "@import", "<link", "<img", "<iframe"] {
            assert!(!page.as_str().contains(outside), "{outside}");
        }
        assert!(page.as_str().contains("default-src 'none'"));
        assert!(page.as_str().contains("<title>Locket: &lt;&#47;title&gt;&lt;script&gt;</title>"));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (time, expected) in [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (1_709_251_199_999, "2024-02-29"),
            (1_709_251_200_000, "2024-03-01"),
            (-1, "1969-12-31"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(date(time), expected);
        }
        assert_eq!(moment(1_709_251_199_999), "2024-02-29, 23:59 UTC");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 12, 999, 1000, 12_345, 1_234_567].map(thousands).join(" "), "0 12 999 1,000 12,345 1,234,567");
        assert_eq!([5, 4096, 1_500_000].map(size).join(" "), "5 B 4.1 kB 1.5 MB");
        assert_eq!((count(1, "text", "texts"), count(0, "text", "texts")), ("1 text".into(), "0 texts".into()));
    }
}
