//! Limits of what is read.

/// Maximum number of blocks that are read from one text.
pub const MAX_BLOCKS: usize = 64;
/// Maximum length of the label of a block, in bytes.
pub const MAX_LABEL: usize = 64;
