//! The senders of messages, for the question who of them is the user.

use std::collections::HashMap;

/// Maximum number of distinct senders that are counted.
const MOST: usize = 4096;
/// Maximum number of senders in an error.
const LISTED: usize = 8;

/// Number of messages of each sender.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    counts: HashMap<String, u64>,
    total: u64,
}

impl Senders {
    /// Counts one message. Further senders beyond the limit count in the total only.
    pub(crate) fn add(&mut self, sender: &str) {
        self.total += 1;
        if let Some(count) = self.counts.get_mut(sender) {
            *count += 1;
        } else if self.counts.len() < MOST {
            self.counts.insert(sender.to_owned(), 1);
        }
    }

    /// Adds these counts to `all`.
    pub(crate) fn merge_into(&self, all: &mut Self) {
        all.total += self.total;
        for (name, count) in &self.counts {
            if let Some(known) = all.counts.get_mut(name) {
                *known += count;
            } else if all.counts.len() < MOST {
                all.counts.insert(name.clone(), *count);
            }
        }
    }

    /// Returns the number of messages.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the most frequent senders, most frequent first.
    pub(crate) fn top(&self) -> Vec<(String, u64)> {
        let mut all: Vec<_> = self.counts.iter().map(|(name, count)| (name.clone(), *count)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(LISTED);
        all
    }

    /// Returns the senders that `is_me` rejects, up to two of them.
    pub(crate) fn others(&self, is_me: impl Fn(&str) -> bool) -> Vec<&str> {
        self.counts.keys().map(String::as_str).filter(|name| !is_me(name)).take(2).collect()
    }
}

/// Returns the senders on one line.
pub(crate) fn listed(found: &[(String, u64)]) -> String {
    let each = |(name, count): &(String, u64)| match count {
        1 => format!("{name} (1 message)"),
        n => format!("{name} ({n} messages)"),
    };
    match found {
        [] => "no sender has a name".into(),
        found => found.iter().map(each).collect::<Vec<_>>().join(", "),
    }
}
