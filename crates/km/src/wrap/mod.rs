//! Wrapping a CA key for the key of a quote.
