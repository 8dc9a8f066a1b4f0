//! The setters of option structs.
//!
//! Option structs are `#[non_exhaustive]`, so that a new option breaks no app. An app creates one
//! with `new` or `default`, then chains setters or assigns fields.

/// Implements a chainable setter for each field: `with_x => x: T`. For a field of type `Option<T>`,
/// a setter with `some` takes a `T` or an `Option<T>`, one with `into` an `impl Into<T>`.
macro_rules! setters {
    ($type:ty { $($(#[$mode:tt])? $setter:ident => $field:ident: $kind:ty),+ $(,)? }) => {
        impl $type {
            $($crate::setters::setter!($($mode)? $setter, $field, $kind);)+
        }
    };
}

macro_rules! setter {
    ($setter:ident, $field:ident, $kind:ty) => {
        #[doc = concat!("Sets the field `", stringify!($field), "`.")]
        #[must_use]
        pub fn $setter(mut self, $field: $kind) -> Self {
            self.$field = $field;
            self
        }
    };
    (some $setter:ident, $field:ident, $kind:ty) => {
        #[doc = concat!("Sets the field `", stringify!($field), "`.")]
        #[must_use]
        pub fn $setter(mut self, $field: impl Into<Option<$kind>>) -> Self {
            self.$field = $field.into();
            self
        }
    };
    (into $setter:ident, $field:ident, $kind:ty) => {
        #[doc = concat!("Sets the field `", stringify!($field), "`.")]
        #[must_use]
        pub fn $setter(mut self, $field: impl Into<$kind>) -> Self {
            self.$field = Some($field.into());
            self
        }
    };
}

pub(crate) use {setter, setters};
