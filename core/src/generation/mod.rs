//! Generation: from prompt inputs to a text, a title or a rating.
//!
//! | module | contents |
//! |---|---|
//! | [`output`] | options for writing, and the written text |
//! | [`request`](mod@request) | conversion of prompt inputs to a request, and of its completion to a text |
//! | `form` | line breaks and letter case of a text |
//! | [`length`] | the length of a text |
//! | [`candidates`](mod@candidates) | several candidates for one text |
//! | [`reranking`] | the best of several candidates |
//! | [`constraint`](mod@constraint) | the texts that an output must not repeat |
//! | [`guard`] | decoding under that constraint, and the final check |
//! | [`overlap`] | shares of copied and of repeated words |
//! | [`gate`](mod@gate) | the quality gate for synthetic texts |
//! | [`synthetic`] | synthetic interactions for predicted items |

pub mod candidates;
pub mod constraint;
pub(crate) mod form;
pub mod gate;
pub mod guard;
pub mod length;
pub mod output;
pub mod overlap;
pub mod request;
pub mod reranking;
pub mod synthetic;
