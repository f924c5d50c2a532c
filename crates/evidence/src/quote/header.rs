//! The header of a quote.

use super::layout::field;

/// Length of the header of every version, in bytes.
pub const HEADER: usize = 48;

/// The first 48 bytes of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a>(&'a [u8; HEADER]);

impl<'a> Header<'a> {
    /// TEE type of SGX.
    pub const SGX: u32 = 0;
    /// TEE type of TDX.
    pub const TDX: u32 = 0x81;

    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        bytes.first_chunk().map(Self)
    }

    /// Version of the layout.
    #[must_use]
    pub fn version(&self) -> u16 {
        u16::from_le_bytes(field::<0, 2, HEADER>(self.0))
    }

    /// Attestation key type; 2 is ECDSA on P-256.
    #[must_use]
    pub fn attestation_key_type(&self) -> u16 {
        u16::from_le_bytes(field::<2, 2, HEADER>(self.0))
    }

    /// Kind of TEE: [`Self::SGX`] or [`Self::TDX`].
    #[must_use]
    pub fn tee_type(&self) -> u32 {
        u32::from_le_bytes(field::<4, 4, HEADER>(self.0))
    }

    /// Vendor of the quoting enclave, 16 bytes (a UUID).
    #[must_use]
    pub fn qe_vendor_id(&self) -> [u8; 16] {
        field::<12, 16, HEADER>(self.0)
    }

    /// What the quoting enclave wrote for itself, 20 bytes; the simulated platform's begins with
    /// `SIMULATION`.
    #[must_use]
    pub fn user_data(&self) -> [u8; 20] {
        field::<28, 20, HEADER>(self.0)
    }
}
