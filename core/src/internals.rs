//! The engine's modules, for Locket's own tools and tests. They have no stability guarantee: apps
//! use the crate's root.

#[allow(missing_docs)]
pub mod context {
    pub use crate::context::*;
}
#[allow(missing_docs)]
pub mod crypto {
    pub use crate::crypto::*;
}
#[allow(missing_docs)]
pub mod engine {
    pub use crate::engine::*;
}
#[allow(missing_docs)]
pub mod generation {
    pub use crate::generation::*;
}
#[allow(missing_docs)]
pub mod graph {
    pub use crate::graph::*;
}
#[allow(missing_docs)]
pub mod hash {
    pub use crate::hash::*;
}
#[allow(missing_docs)]
pub mod history {
    pub use crate::history::*;
}
#[allow(missing_docs)]
pub mod llm {
    pub use crate::llm::*;
}
#[allow(missing_docs)]
pub mod output {
    pub use crate::output::*;
}
#[allow(missing_docs)]
pub mod pack {
    pub use crate::pack::*;
}
#[allow(missing_docs)]
pub mod plan {
    pub use crate::plan::*;
}
#[allow(missing_docs)]
pub mod predict {
    pub use crate::predict::*;
}
#[allow(missing_docs)]
pub mod prompt {
    pub use crate::prompt::*;
}
#[allow(missing_docs)]
pub mod store {
    pub use crate::store::*;
}
#[allow(missing_docs)]
pub mod style {
    pub use crate::style::*;
}
#[allow(missing_docs)]
pub mod sys {
    pub use crate::sys::*;
}
#[allow(missing_docs)]
pub mod text {
    pub use crate::text::*;
}
