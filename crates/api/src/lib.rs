//! Kubernetes API types of tcs.intel.com.
#![forbid(unsafe_code)]
