//! The signature data of a quote: signatures, the attestation key, the quoting enclave's report,
//! certificates.

use super::sgx::EnclaveReport;
use crate::error::Error;

/// Type of the certification data that contains the quoting enclave's report (versions 4 and 5).
const QE_REPORT: u16 = 6;
/// Type of the certification data that is a PEM chain: leaf, CA, root.
const PCK_CHAIN: u16 = 5;
const REPORT: usize = 384;

/// The signature data of a quote whose inner lengths were checked: they add up to the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureData<'a> {
    signature: &'a [u8; 64],
    attestation_key: &'a [u8; 64],
    qe_report: &'a [u8; REPORT],
    qe_report_signature: &'a [u8; 64],
    auth_data: &'a [u8],
    pck_chain: &'a [u8],
}

impl<'a> SignatureData<'a> {
    /// Version 3: the parts follow each other.
    pub(super) fn read_v3(data: &'a [u8]) -> Result<Self, Error> {
        let (signature, data) = take::<64>(data)?;
        let (attestation_key, data) = take::<64>(data)?;
        Self::read_rest(signature, attestation_key, data)
    }

    /// Versions 4 and 5: the quoting enclave's part is nested in certification data.
    pub(super) fn read_v4(data: &'a [u8]) -> Result<Self, Error> {
        let (signature, data) = take::<64>(data)?;
        let (attestation_key, data) = take::<64>(data)?;
        let nested =
            certification_data(data, QE_REPORT, "it contains no report of the quoting enclave (type 6)")?;
        Self::read_rest(signature, attestation_key, nested)
    }

    fn read_rest(
        signature: &'a [u8; 64],
        attestation_key: &'a [u8; 64],
        data: &'a [u8],
    ) -> Result<Self, Error> {
        let (qe_report, data) = take::<REPORT>(data)?;
        let (qe_report_signature, data) = take::<64>(data)?;
        let (length, data) = take::<2>(data)?;
        let (auth_data, data) =
            data.split_at_checked(usize::from(u16::from_le_bytes(*length))).ok_or(SHORT)?;
        let pck_chain = certification_data(data, PCK_CHAIN, "it contains no certificate chain (type 5)")?;
        Ok(Self { signature, attestation_key, qe_report, qe_report_signature, auth_data, pck_chain })
    }

    /// Signature over header and report by the attestation key, r ‖ s.
    #[must_use]
    pub fn signature(&self) -> &'a [u8; 64] {
        self.signature
    }

    /// The attestation key: a point on P-256, x ‖ y.
    #[must_use]
    pub fn attestation_key(&self) -> &'a [u8; 64] {
        self.attestation_key
    }

    /// Report of the quoting enclave.
    #[must_use]
    pub fn qe_report(&self) -> EnclaveReport<'a> {
        EnclaveReport::new(self.qe_report)
    }

    /// Signature over the quoting enclave's report (its 384 bytes) by the PCK key, r ‖ s.
    #[must_use]
    pub fn qe_report_signature(&self) -> &'a [u8; 64] {
        self.qe_report_signature
    }

    /// Authentication data of the quoting enclave; Intel's has 32 bytes.
    #[must_use]
    pub fn auth_data(&self) -> &'a [u8] {
        self.auth_data
    }

    /// PEM text: PCK certificate, PCK CA, root.
    #[must_use]
    pub fn pck_chain(&self) -> &'a [u8] {
        self.pck_chain
    }
}

const SHORT: Error = Error::QuoteMalformed("its signature data is too short");

fn take<const LEN: usize>(data: &[u8]) -> Result<(&[u8; LEN], &[u8]), Error> {
    data.split_first_chunk::<LEN>().ok_or(SHORT)
}

/// Type, length and exactly that many bytes.
fn certification_data<'a>(data: &'a [u8], wanted: u16, absent: &'static str) -> Result<&'a [u8], Error> {
    let (kind, data) = take::<2>(data)?;
    let (length, data) = take::<4>(data)?;
    if u16::from_le_bytes(*kind) != wanted {
        return Err(Error::QuoteMalformed(absent));
    }
    if usize::try_from(u32::from_le_bytes(*length)) != Ok(data.len()) {
        return Err(Error::QuoteMalformed("the length of its certification data does not fit"));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(auth: usize, chain: &[u8]) -> Vec<u8> {
        let mut data = vec![3; REPORT];
        data.extend([4; 64]);
        data.extend(u16::try_from(auth).unwrap().to_le_bytes());
        data.extend(vec![5; auth]);
        data.extend(PCK_CHAIN.to_le_bytes());
        data.extend(u32::try_from(chain.len()).unwrap().to_le_bytes());
        data.extend(chain);
        data
    }

    fn v3() -> Vec<u8> {
        [vec![1; 64], vec![2; 64], rest(32, b"chain")].concat()
    }

    fn v4() -> Vec<u8> {
        let inner = rest(0, b"chain");
        let length = u32::try_from(inner.len()).unwrap().to_le_bytes();
        [vec![1; 64], vec![2; 64], QE_REPORT.to_le_bytes().to_vec(), length.to_vec(), inner].concat()
    }

    #[test]
    fn both_forms_give_the_same_parts() {
        let (v3, v4) = (v3(), v4());
        for (data, auth) in
            [(SignatureData::read_v3(&v3).unwrap(), 32), (SignatureData::read_v4(&v4).unwrap(), 0)]
        {
            assert_eq!(data.signature(), &[1; 64]);
            assert_eq!(data.attestation_key(), &[2; 64]);
            assert_eq!(data.qe_report().bytes(), &[3; REPORT]);
            assert_eq!(data.qe_report_signature(), &[4; 64]);
            assert_eq!(data.auth_data(), vec![5; auth]);
            assert_eq!(data.pck_chain(), b"chain");
        }
    }

    /// Q16: no byte is left over, and none is missing, anywhere inside.
    #[test]
    fn q16_every_byte_is_accounted_for() {
        let (v3, v4) = (v3(), v4());
        for cut in 0..v3.len() {
            assert!(SignatureData::read_v3(&v3[..cut]).is_err(), "{cut}");
        }
        for cut in 0..v4.len() {
            assert!(SignatureData::read_v4(&v4[..cut]).is_err(), "{cut}");
        }
        assert!(SignatureData::read_v3(&[v3.as_slice(), &[0]].concat()).is_err());
        assert!(SignatureData::read_v4(&[v4.as_slice(), &[0]].concat()).is_err());
        // The inner one, of a v4 whose outer length fits.
        let mut inner = v4;
        inner.push(0);
        inner[130] += 1;
        assert!(SignatureData::read_v4(&inner).is_err());
        assert!(SignatureData::read_v4(&v3).is_err());
    }
}
