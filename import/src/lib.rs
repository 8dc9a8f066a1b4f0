//! Brings a person's own writing into Locket: sent mail, chats, notes and tables.
//!
//! | module | contents |
//! |---|---|
//! | [`options`] | formats, sources, options |
//! | [`report`] | the result: numbers, and reasons of skipped messages |
//! | [`text`] | an imported text, and helpers for words and excerpts |
//! | `mail`, `chat`, `table`, `notes` | one reader per format |
//! | `select` | exclusions, duplicates, the newest texts |
//! | `input`, `lines`, `detect` | files and folders, lines of limited length, detection of the format |
//! | `engine` | conversion to [`locket::Interaction`], and the import into a store |
//!
//! Only the person's own messages become texts. A message by somebody else serves as the context of
//! the answer to it. Any bytes are accepted: a malformed message is counted and skipped.
//!
//! ```
//! use locket_import::{ImportOptions, Source, read};
//!
//! let chat = "12/05/26, 14:03 - Ada: Are you coming?\n12/05/26, 14:05 - Ben: sure, see you at 8\n";
//! let options = ImportOptions::default().with_me("Ben");
//! let (texts, report) = read(Source::Bytes(chat.as_bytes()), &options, &mut |_| std::ops::ControlFlow::Continue(()))?;
//! assert_eq!(texts[0].text, "sure, see you at 8");
//! assert_eq!(texts[0].context.as_deref(), Some("Are you coming?"));
//! assert_eq!(report.messages, 2);
//! # Ok::<(), locket_import::ImportError>(())
//! ```

mod chat;
mod date;
mod detect;
#[cfg(feature = "engine")]
mod engine;
mod error;
mod input;
mod lines;
mod mail;
mod notes;
pub mod options;
mod reading;
pub mod report;
mod select;
mod senders;
mod table;
pub mod text;

pub use date::iso as parse_date;
#[cfg(feature = "engine")]
pub use engine::{add, import, preview, read, without_known};
pub use error::ImportError;
pub use options::{Format, ImportOptions, Source};
pub use reading::{detect_format, read_texts};
pub use report::{ImportReport, Skipped};
pub use text::ImportedText;
