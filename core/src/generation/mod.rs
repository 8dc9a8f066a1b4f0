//! Generation: from prompt inputs to a text, a title or a rating.
//!
//! | module | contents |
//! |---|---|
//! | [`output`] | how a text is written, and the text that comes out |
//! | [`request`](mod@request) | prompt inputs to a decoder's request, and its answer back |
//! | [`length`] | the length of a text |
//! | [`candidates`](mod@candidates) | several candidates for one text |
//! | [`reranking`] | the best of several candidates |
//! | [`constraint`](mod@constraint) | the texts that an output must not repeat |
//! | [`guard`] | decoding under that constraint, and the check at the end |
//! | [`overlap`] | shares of copied and of repeated words |
//! | [`gate`](mod@gate) | which synthetic texts may be kept |
//! | [`synthetic`] | synthetic interactions for predicted items |

pub mod candidates;
pub mod constraint;
pub mod gate;
pub mod guard;
pub mod length;
pub mod output;
pub mod overlap;
pub mod request;
pub mod reranking;
pub mod synthetic;
