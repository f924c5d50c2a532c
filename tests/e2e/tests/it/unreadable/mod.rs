//! Objects that cannot be decoded, and objects that only we can decode. Each harms itself only: before the
//! service starts, while it runs and after a crash.

mod objects;
mod one_bad_object;
mod policy;
mod stored;
mod times;
