//! The first section: the records and the files of a store.

use std::{collections::BTreeMap, path::Path};

use locket::{Entry, Kind, Origin, internals::text};

use super::page::{Html, civil, count, date, facts, html, moment, prose, put, size, thousands};

/// Maximum number of recipients in the table.
const RECIPIENTS: usize = 12;
/// Maximum number of bars of the drawing of times.
const BARS: usize = 24;

/// A file in the store's folder.
pub struct StoredFile {
    /// The name, relative to the folder.
    pub name: String,
    pub bytes: u64,
}

/// Returns the files in the folder of a store and in its folder of sessions, sorted by name.
pub fn files(dir: &Path) -> Vec<StoredFile> {
    let inside = |dir: &Path, prefix: &str| -> Vec<StoredFile> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let file = |entry: std::fs::DirEntry| {
            let meta = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some(StoredFile { name: format!("{prefix}{}", entry.file_name().to_string_lossy()), bytes: meta.len() })
        };
        entries.filter_map(file).collect()
    };
    let mut all = inside(dir, "");
    all.extend(inside(&dir.join("sessions"), "sessions/"));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Returns the section's body. The latest `most` records are shown in full.
pub fn body(entries: &[Entry], files: &[StoredFile], most: usize) -> Html {
    let synthetic = entries.iter().filter(|e| e.record.is_synthetic()).count();
    let mut recipients: BTreeMap<&str, (usize, Option<i64>)> = BTreeMap::new();
    for entry in entries {
        let i = &entry.record.interaction;
        if let Some(audience) = &i.audience {
            let (texts, last) = recipients.entry(audience).or_default();
            *texts += 1;
            *last = (*last).max(i.time);
        }
    }
    let tile = |number: &str, name: &str| html!("<div><b>{}</b><span>{}</span></div>", number, name);
    let mut out = html!("<div class=\"tiles\">");
    put!(out, "{}", tile(&thousands(entries.len() - synthetic), "texts by the user"));
    put!(out, "{}", tile(&thousands(synthetic), "synthetic texts"));
    put!(out, "{}", tile(&thousands(recipients.len()), "recipients"));
    put!(out, "{}", tile(&size(files.iter().map(|f| f.bytes).sum()), "on disk, encrypted"));
    put!(out, "</div>\n");
    if entries.is_empty() {
        put!(out, "<p class=\"empty\">The store is empty. <code>locket record</code> adds a text.</p>\n");
    } else {
        put!(out, "<h3>By kind</h3>\n{}", kinds(entries));
        put!(out, "{}", over_time(entries));
    }
    if !recipients.is_empty() {
        put!(out, "<h3>By recipient</h3>\n<p>Recipients are ids that the app chose. They never enter a prompt.</p>\n");
        put!(out, "{}", by_recipient(&recipients));
    }
    if !entries.is_empty() {
        put!(out, "<h3>Every text</h3>\n{}", texts(entries, most));
    }
    put!(out, "<h3>Files</h3>\n{}", file_table(files));
    put!(out, "{}", protection());
    out
}

fn kinds(entries: &[Entry]) -> Html {
    let mut rows: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    entries.iter().for_each(|e| rows.entry(&e.record.interaction.kind).or_default().push(e));
    let mut out = html!(
        "<table><thead><tr><th scope=\"col\">Kind</th><th scope=\"col\">Own</th><th scope=\"col\">Synthetic</th>\
         <th scope=\"col\">Words</th><th scope=\"col\" class=\"wide\">From</th><th scope=\"col\" class=\"wide\">To</th>\
         </tr></thead><tbody>\n"
    );
    for (kind, entries) in rows {
        let synthetic = entries.iter().filter(|e| e.record.is_synthetic()).count();
        let words: usize = entries.iter().map(|e| text::word_count(&e.record.interaction.text)).sum();
        let times = || entries.iter().filter_map(|e| e.record.interaction.time);
        let day = |time: Option<i64>| time.map_or("\u{2013}".to_owned(), date);
        put!(
            out,
            "<tr><th scope=\"row\" dir=\"auto\">{}</th><td>{}</td><td>{}</td><td>{}</td><td class=\"wide\">{}</td>\
             <td class=\"wide\">{}</td></tr>\n",
            Kind::named(kind).map_or_else(|| kind.to_owned(), |k| k.one),
            thousands(entries.len() - synthetic),
            thousands(synthetic),
            thousands(words),
            day(times().min()),
            day(times().max()),
        );
    }
    put!(out, "</tbody></table>\n");
    out
}

/// Returns a drawing of the number of texts over time, in equal periods.
fn over_time(entries: &[Entry]) -> Html {
    let times: Vec<(i64, bool)> =
        entries.iter().filter_map(|e| Some((e.record.interaction.time?, e.record.is_synthetic()))).collect();
    let (Some(first), Some(last)) = (times.iter().map(|t| t.0).min(), times.iter().map(|t| t.0).max()) else {
        return html!("<h3>Over time</h3>\n<p>No text has a time.</p>\n");
    };
    if civil(first) == civil(last) {
        return html!("<h3>Over time</h3>\n<p>All times are on {}.</p>\n", date(first));
    }
    let width = (last - first) as f64 / BARS as f64;
    let mut bars = [(0, 0); BARS];
    for (time, synthetic) in times {
        let bar = &mut bars[(((time - first) as f64 / width) as usize).min(BARS - 1)];
        if synthetic { bar.1 += 1 } else { bar.0 += 1 }
    }
    let most = bars.iter().map(|b| b.0 + b.1).max().unwrap_or(1).max(1) as f64;
    let all: usize = bars.iter().map(|b| b.0 + b.1).sum();
    let mut out = html!(
        "<h3>Over time</h3>\n<svg class=\"times\" viewBox=\"0 0 {} 50\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{}, from {} to {}\">",
        10 * BARS,
        count(all, "text with a time", "texts with a time"),
        date(first),
        date(last),
    );
    for (n, (own, synthetic)) in bars.into_iter().enumerate() {
        let height = |texts: usize| texts as f64 * 50.0 / most;
        let mut bar = |class: &str, texts: usize, below: usize| {
            if texts > 0 {
                let [y, tall] = [50.0 - height(below) - height(texts), height(texts)].map(|v| format!("{v:.1}"));
                put!(
                    out,
                    "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"8\" height=\"{}\"/>",
                    class,
                    10 * n + 1,
                    y,
                    tall
                );
            }
        };
        bar("own", own, 0);
        bar("synthetic", synthetic, own);
    }
    put!(out, "</svg>\n<p class=\"meta ends\"><span>{}</span><span>{}</span></p>\n", date(first), date(last));
    if bars.iter().any(|bar| bar.1 > 0) {
        put!(out, "<p class=\"meta\">The upper part of a bar is synthetic.</p>\n");
    }
    out
}

fn by_recipient(recipients: &BTreeMap<&str, (usize, Option<i64>)>) -> Html {
    let mut rows: Vec<_> = recipients.iter().collect();
    rows.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(b.0)));
    let mut out = html!(
        "<table><thead><tr><th scope=\"col\">Recipient</th><th scope=\"col\">Texts</th><th scope=\"col\">Latest</th></tr>\
         </thead><tbody>\n"
    );
    for (audience, (texts, last)) in rows.iter().take(RECIPIENTS) {
        let last = last.map_or("\u{2013}".to_owned(), date);
        put!(
            out,
            "<tr><th scope=\"row\"><bdi>{}</bdi></th><td>{}</td><td>{}</td></tr>\n",
            audience,
            thousands(*texts),
            last
        );
    }
    put!(out, "</tbody></table>\n");
    if rows.len() > RECIPIENTS {
        put!(out, "<p>{} more have fewer texts.</p>\n", thousands(rows.len() - RECIPIENTS));
    }
    out
}

/// Returns the latest `most` records, folded by kind, the newest first.
fn texts(entries: &[Entry], most: usize) -> Html {
    let shown = &entries[entries.len().saturating_sub(most)..];
    let mut out = if shown.len() == entries.len() {
        html!("<p>All {} are shown, the newest first.</p>\n", count(shown.len(), "text", "texts"))
    } else {
        html!(
            "<p class=\"limit\">{} of {} texts are shown: the newest. <code>--records</code> shows more.</p>\n",
            thousands(shown.len()),
            thousands(entries.len())
        )
    };
    let mut groups: BTreeMap<(bool, &str), Vec<&Entry>> = BTreeMap::new();
    let group = |e: &Entry| e.record.is_synthetic();
    shown.iter().rev().for_each(|e| groups.entry((group(e), &e.record.interaction.kind)).or_default().push(e));
    for ((synthetic, kind), entries) in groups {
        let (one, many) = Kind::named(kind).map_or((kind.to_owned(), kind.to_owned()), |k| (k.one, k.many));
        let badge = if synthetic { html!(" <i class=\"badge synthetic\">synthetic</i>") } else { Html::default() };
        put!(
            out,
            "<details class=\"texts\"><summary><span>{}</span>{}</summary>\n{}</details>\n",
            count(entries.len(), &one, &many),
            badge,
            entries.into_iter().map(article).collect::<Html>(),
        );
    }
    out
}

fn article(entry: &Entry) -> Html {
    let i = &entry.record.interaction;
    let mut out = html!("<article><p class=\"meta\"><span class=\"id\">No. {}</span>", entry.id);
    if let Some(name) = i.item_title.as_deref().or(Some(&i.item)).filter(|name| !name.is_empty()) {
        put!(out, " <bdi class=\"item\">{}</bdi>", name);
    }
    if i.item_title.is_some() && !i.item.is_empty() {
        put!(out, " <bdi><code>{}</code></bdi>", i.item);
    }
    if let Some(stars) = i.stars() {
        put!(out, " <span class=\"stars\">{} of 5 stars</span>", stars);
    }
    if let Some(audience) = &i.audience {
        put!(out, " <span>to <bdi>{}</bdi></span>", audience);
    }
    if let Some(time) = i.time {
        put!(out, " <time>{}</time>", moment(time));
    }
    put!(out, "</p>");
    if let Origin::Synthetic { path, model } = &entry.record.origin {
        put!(
            out,
            "<p class=\"meta\"><span>Plan: <bdi>{}</bdi></span> <span>Model: <bdi>{}</bdi></span></p>",
            path.to_string(),
            model
        );
    }
    if let Some(context) = &i.context {
        put!(out, "<blockquote dir=\"auto\" lang=\"\">{}</blockquote>", context);
    }
    if let Some(title) = &i.title {
        put!(out, "<p class=\"title\" dir=\"auto\" lang=\"\">{}</p>", title);
    }
    put!(out, "{}</article>\n", prose(&i.text));
    out
}

fn file_table(files: &[StoredFile]) -> Html {
    let mut out = html!(
        "<table class=\"files\"><thead><tr><th scope=\"col\">File</th><th scope=\"col\">Size</th></tr></thead><tbody>\n"
    );
    for file in files {
        let what = purpose(&file.name);
        let bytes = size(file.bytes);
        put!(
            out,
            "<tr><th scope=\"row\"><bdi>{}</bdi><small>{}</small></th><td>{}</td></tr>\n",
            file.name,
            what,
            bytes
        );
    }
    put!(out, "</tbody></table>\n");
    out
}

/// Returns the content of a file of the store by its name.
fn purpose(name: &str) -> &'static str {
    match name {
        "locket.key" => "The store\u{2019}s own key, wrapped by the host\u{2019}s key.",
        "locket.lock" => "Held while a program has the store open. It has no content.",
        "sessions/unfinished" => "The finished part of a stopped augmentation, encrypted.",
        name if name.starts_with("sessions/") && name.ends_with(".kv") => {
            "The model\u{2019}s state after reading the history, encrypted. It saves time only."
        }
        name if name.starts_with("locket-") && name.ends_with(".redb") => "All records, encrypted.",
        _ => "Not a file of the store.",
    }
}

/// Returns the facts of docs/src/security.md, shortened.
fn protection() -> Html {
    let facts = facts(
        false,
        [
            (
                "Cipher",
                html!("XChaCha20-Poly1305. Each block of records has a random nonce and is bound to its place."),
            ),
            (
                "Keys",
                html!(
                    "The host\u{2019}s 32 random bytes wrap the store\u{2019}s own random key. HKDF-SHA256 derives one key per \
                 purpose. No password is involved."
                ),
            ),
            (
                "The key of this command",
                html!("A file with mode 0600, outside the store. It protects copies of the store, and nothing more."),
            ),
            ("Changes", html!("A changed, dropped or swapped block is noticed. A rollback of the whole store is not.")),
            (
                "Visible without the key",
                html!(
                    "The sizes above, the number and the time of changes, the number of models in use, and roughly the length of \
                 the history. Not the texts, the ids, the ratings, or the number of records."
                ),
            ),
            (
                "Forgetting",
                html!(
                    "<code>locket forget</code> encrypts the rest anew under a fresh key. <code>locket erase</code> destroys the \
                 key first, then the files."
                ),
            ),
        ],
    );
    html!(
        "<h3>How it is protected</h3>\n{}<h3>What is not stored</h3>\n<ul class=\"not\">\n\
         <li>Prompts and drafts. Of the generated texts only synthetic ones are kept, and those that the app records.</li>\n\
         <li>Logs or usage statistics.</li>\n\
         <li>The host\u{2019}s key.</li>\n\
         <li>Anything on another machine: the engine has no network code.</li>\n</ul>\n",
        facts
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use locket::{Interaction, Record};

    fn entry(id: u64, interaction: Interaction) -> Entry {
        Entry { id, record: Record::real(interaction) }
    }

    #[test]
    fn the_newest_records_are_shown_and_counted() {
        let entries: Vec<Entry> = (0..5000).map(|n| entry(n, Interaction::new("k", format!("text-{n}.")))).collect();
        let page = body(&entries, &[], 100);
        let page = page.as_str();
        assert!(page.contains("100 of 5,000 texts are shown"), "{page}");
        assert!(page.contains("text-4999.") && page.contains("text-4900.") && !page.contains("text-4899."));
        assert!(body(&entries, &[], 5000).as_str().contains("All 5,000 texts are shown"));
    }

    #[test]
    fn an_empty_store_is_named_as_such() {
        let page = body(&[], &[StoredFile { name: "locket.key".into(), bytes: 124 }], 100);
        assert!(page.as_str().contains("The store is empty"));
        assert!(page.as_str().contains("wrapped by the host"));
    }

    #[test]
    fn any_time_is_drawn() {
        for times in [[0, 1], [0, i64::MAX / 1_000_000], [5, 5], [1, 86_400_000]] {
            let entries = times.map(|time| entry(0, Interaction::new("k", "x").with_time(time)));
            assert!(!body(&entries, &[], 10).as_str().contains("NaN"));
        }
    }
}
