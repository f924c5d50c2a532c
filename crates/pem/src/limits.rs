//! Bounds of what is read.

/// Most blocks that are read from one text.
pub const MAX_BLOCKS: usize = 64;
/// Longest label of a block, in bytes.
pub const MAX_LABEL: usize = 64;
