//! What runs beside the reconcilers.

pub mod admission_check;
pub mod admission_gate;
pub mod admission_policies;
