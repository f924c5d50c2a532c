//! Malformed quotes.

use super::enclave::Enclave;

/// The vendor id of Intel's quoting enclaves. Verifiers check the vendor before anything else, so it cannot
/// mark a simulation.
const INTEL: [u8; 16] =
    [0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07];

/// How a quote differs from a well-formed one. Everything is signed as it is. `Default`: well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteShape {
    /// Version in the header, whatever the layout is. `None`: that of the layout.
    pub version: Option<u16>,
    /// Layout of a quote of an enclave: 3 (the default), or 4 or 5, which no SGX quoting enclave of Intel's
    /// writes. Has no effect on trust domains.
    pub sgx_layout: u16,
    /// Type of the attestation key in the header: 2, ECDSA with P-256.
    pub key_type: u16,
    /// TEE type in the header. `None`: 0 for SGX, 0x81 for TDX.
    pub tee_type: Option<u32>,
    /// Vendor of the quoting enclave: Intel's id, 939A7233F79C4CA9940A0DB3957F0607.
    pub vendor_id: [u8; 16],
    /// Authentication data of the quoting enclave, at most 65,535 bytes: 32 bytes, 00 to 1F.
    pub auth_data: Vec<u8>,
    /// The quoting enclave, whose `report_data` is always SHA-256(attestation key ‖ authentication data) and
    /// 32 zero bytes. `None`: [`Enclave::quoting`].
    pub qe: Option<Enclave>,
    /// The quote is signed with a fresh key and carries it. The QE report still binds the platform's
    /// attestation key.
    pub ak_swap: bool,
    /// Type of the certification data: 5, a PEM chain.
    pub certification_type: u16,
    /// The certification data. `None`: the PEM chain of PCK certificate, PCK CA and root.
    pub certification_data: Option<Vec<u8>>,
    /// Bytes at the end of the signature data that their length includes: none.
    pub trailing_inside: Vec<u8>,
    /// Bytes after the quote that no length includes: none.
    pub trailing: Vec<u8>,
}

impl Default for QuoteShape {
    fn default() -> Self {
        Self {
            version: None,
            sgx_layout: 3,
            key_type: 2,
            tee_type: None,
            vendor_id: INTEL,
            auth_data: (0..32).collect(),
            qe: None,
            ak_swap: false,
            certification_type: 5,
            certification_data: None,
            trailing_inside: Vec::new(),
            trailing: Vec::new(),
        }
    }
}
