//! Verification of a quote.
