//! Kinds of trusted execution environments.

/// The kind of trusted execution environment that collateral or a quoting enclave is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tee {
    /// SGX: TCB info `SGX`, QE identity `QE`.
    Sgx,
    /// TDX: TCB info `TDX`, QE identity `TD_QE`.
    Tdx,
}
