//! The SGX extension of a PCK certificate (Intel SGX PCK Certificate and CRL Profile Specification, section
//! 1.3.5). It is parsed once, for the claims and for the check of its components (`docs/conformance.md`, Q4).

use crate::Error;
use crate::certificate::{ParsedCertificate, PckCa};
use crate::claims::Platform;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader as _, SliceReader, Tag};

const SGX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");
const PPID: u8 = 1;
const TCB: u8 = 2;
const PCE_ID: u8 = 3;
const FMSPC: u8 = 4;
const SGX_TYPE: u8 = 5;
const PLATFORM_INSTANCE: u8 = 6;
const CONFIGURATION: u8 = 7;
/// Members of [`TCB`] after the 16 components.
const PCE_SVN: u8 = 17;
const CPU_SVN: u8 = 18;

/// The contents of the extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SgxExtension {
    pub ppid: [u8; 16],
    /// SVNs of the 16 components.
    pub components: [u8; 16],
    pub pce_svn: u16,
    pub cpu_svn: [u8; 16],
    pub pce_id: [u8; 2],
    pub fmspc: [u8; 6],
    pub sgx_type: u8,
    pub platform_instance: Option<[u8; 16]>,
    pub dynamic_platform: Option<bool>,
    pub cached_keys: Option<bool>,
    pub smt_enabled: Option<bool>,
}

/// Members by the last arc of their OIDs, 1 to 18. None occurs twice.
struct Members<'a>([Option<AnyRef<'a>>; 19]);

impl SgxExtension {
    /// Reads the extension of a PCK certificate. A member that is missing, repeated or of another form is
    /// refused.
    pub fn read(leaf: &ParsedCertificate) -> Result<Self, Error> {
        Self::find(leaf).ok_or_else(|| {
            Error::QuoteRefused("the SGX extension of its PCK certificate cannot be read".into())
        })
    }

    fn find(leaf: &ParsedCertificate) -> Option<Self> {
        let all = Members::read(&[], AnyRef::from_der(leaf.extension(SGX)?).ok()?)?;
        let tcb = Members::read(&[TCB], all.get(TCB)?)?;
        let mut components = [0; 16];
        for (number, to) in (1..).zip(&mut components) {
            *to = tcb.get(number)?.decode_as().ok()?;
        }
        let configuration = match all.get(CONFIGURATION) {
            Some(value) => Some(Members::read(&[CONFIGURATION], value)?),
            None => None,
        };
        let flag = |number| match configuration.as_ref().and_then(|flags| flags.get(number)) {
            Some(value) => value.decode_as().ok().map(Some),
            None => Some(None),
        };
        let instance = match all.get(PLATFORM_INSTANCE) {
            Some(value) => Some(octets(value)?),
            None => None,
        };
        // An ENUMERATED of one byte.
        let [sgx_type] = all.get(SGX_TYPE).filter(|value| value.header().tag() == Tag::Enumerated)?.value()
        else {
            return None;
        };
        Some(Self {
            ppid: octets(all.get(PPID)?)?,
            components,
            pce_svn: tcb.get(PCE_SVN)?.decode_as().ok()?,
            cpu_svn: octets(tcb.get(CPU_SVN)?)?,
            pce_id: octets(all.get(PCE_ID)?)?,
            fmspc: octets(all.get(FMSPC)?)?,
            sgx_type: *sgx_type,
            platform_instance: instance,
            dynamic_platform: flag(1)?,
            cached_keys: flag(2)?,
            smt_enabled: flag(3)?,
        })
    }

    /// Refuses a component that is lower than the byte of CPUSVN at its place (`docs/conformance.md`, Q4):
    /// Intel's library compares the components with the TCB levels, dcap-qvl compares CPUSVN, and both must
    /// agree.
    pub fn check_components(&self) -> Result<(), Error> {
        let mut low =
            (1..).zip(self.components.iter().zip(self.cpu_svn)).filter(|(_, (svn, cpu))| *svn < cpu);
        low.next().map_or(Ok(()), |(number, (svn, cpu))| {
            Err(Error::QuoteRefused(format!(
                "component {number} of its PCK certificate is {svn}, expected at least {cpu}, its byte of CPUSVN"
            )))
        })
    }

    /// The platform as it appears in the claims.
    pub fn platform(&self, ca: PckCa) -> Platform {
        Platform {
            ca,
            fmspc: self.fmspc,
            ppid: self.ppid,
            platform_instance: self.platform_instance,
            pce_id: self.pce_id,
            cpu_svn: self.cpu_svn,
            pce_svn: self.pce_svn,
            sgx_type: self.sgx_type,
            dynamic_platform: self.dynamic_platform,
            cached_keys: self.cached_keys,
            smt_enabled: self.smt_enabled,
        }
    }
}

impl<'a> Members<'a> {
    /// Reads `SEQUENCE OF SEQUENCE { OID, value }`. `inside` is the arc of the member that contains them,
    /// below [`SGX`].
    fn read(inside: &[u8], sequence: AnyRef<'a>) -> Option<Self> {
        let mut members = [None; 19];
        let mut reader = SliceReader::new(sequence.value()).ok()?;
        while !reader.is_finished() {
            let (id, value) = reader
                .sequence(|member| Ok::<_, der::Error>((AnyRef::decode(member)?, AnyRef::decode(member)?)))
                .ok()?;
            // Every arc here is below 128, one byte each.
            let arcs = id.value().strip_prefix(SGX.as_bytes())?.strip_prefix(inside)?;
            let [arc] = arcs else { return None };
            let place = members.get_mut(usize::from(*arc))?;
            if id.header().tag() != Tag::ObjectIdentifier || place.is_some() {
                return None;
            }
            *place = Some(value);
        }
        (sequence.header().tag() == Tag::Sequence).then_some(Self(members))
    }

    fn get(&self, arc: u8) -> Option<AnyRef<'a>> {
        self.0.get(usize::from(arc)).copied().flatten()
    }
}

fn octets<const LEN: usize>(value: AnyRef<'_>) -> Option<[u8; LEN]> {
    value.decode_as::<&OctetStringRef>().ok()?.as_bytes().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::Encode as _;

    fn tlv(tag: Tag, contents: &[u8]) -> Vec<u8> {
        AnyRef::new(tag, contents).unwrap().to_der().unwrap()
    }

    /// SEQUENCE { name, OCTET STRING }.
    fn member(tag: Tag, arc: u8) -> Vec<u8> {
        let name = tlv(tag, &[SGX.as_bytes(), &[arc]].concat());
        tlv(Tag::Sequence, &[name, tlv(Tag::OctetString, &[arc; 2])].concat())
    }

    fn members(tag: Tag, all: &[Vec<u8>]) -> Option<Vec<u8>> {
        let der = tlv(tag, &all.concat());
        let read = Members::read(&[], AnyRef::from_der(&der).unwrap())?;
        Some((0..=18).filter(|arc| read.get(*arc).is_some()).collect())
    }

    #[test]
    fn members_have_names_of_their_own_and_stand_there_once() {
        let good = |arc| member(Tag::ObjectIdentifier, arc);
        assert_eq!(members(Tag::Sequence, &[good(3), good(1)]), Some(vec![1, 3]));
        assert_eq!(members(Tag::Sequence, &[]), Some(vec![]));
        assert_eq!(members(Tag::Set, &[good(1)]), None);
        assert_eq!(members(Tag::Sequence, &[good(1), good(3), good(1)]), None, "twice");
        assert_eq!(members(Tag::Sequence, &[member(Tag::OctetString, 1)]), None, "no name");
        assert_eq!(members(Tag::Sequence, &[good(18), good(19)]), None, "an unknown name");
    }
}
