//! The SGX extension of a PCK certificate, 1.2.840.113741.1.13.1.

use crate::Error;
use der::asn1::{Any, OctetString};
use der::oid::ObjectIdentifier;
use der::{Encode, Sequence, Tag};

/// Arcs of the extension itself.
pub const OID: [u64; 7] = [1, 2, 840, 113_741, 1, 13, 1];

/// The simulated platform's family.
pub const FMSPC: [u8; 6] = [0x00, 0x60, 0x6a, 0x00, 0x00, 0x00];
pub const PCE_ID: [u8; 2] = [0, 0];
pub const PCE_SVN: u16 = 13;
pub const CPU_SVN: [u8; 16] = [7, 9, 3, 3, 255, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Not any real processor's.
const PPID: [u8; 16] = *b"SIMULATED-PPID\0\0";
const PLATFORM_INSTANCE: [u8; 16] = *b"SIMULATED-PIID\0\0";

#[derive(Sequence)]
struct Entry {
    id: ObjectIdentifier,
    value: Any,
}

/// The value of the extension: a sequence of pairs of object identifier and value.
pub fn value() -> Result<Vec<u8>, Error> {
    let mut tcb = Vec::new();
    for (component, svn) in (1u32..).zip(CPU_SVN) {
        tcb.push(entry(&[2, component], Any::encode_from(&svn)?)?);
    }
    tcb.push(entry(&[2, 17], Any::encode_from(&PCE_SVN)?)?);
    tcb.push(entry(&[2, 18], octets(&CPU_SVN)?)?);
    let flag = |number: u32| entry(&[7, number], Any::encode_from(&false)?);
    let flags = vec![flag(1)?, flag(2)?, flag(3)?];
    let entries = vec![
        entry(&[1], octets(&PPID)?)?,
        entry(&[2], Any::encode_from(&tcb)?)?,
        entry(&[3], octets(&PCE_ID)?)?,
        entry(&[4], octets(&FMSPC)?)?,
        entry(&[5], Any::new(Tag::Enumerated, [1u8])?)?,
        entry(&[6], octets(&PLATFORM_INSTANCE)?)?,
        entry(&[7], Any::encode_from(&flags)?)?,
    ];
    Ok(entries.to_der()?)
}

fn entry(arcs: &[u32], value: Any) -> Result<Entry, Error> {
    let prefix = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");
    let id = arcs.iter().try_fold(prefix, |id, arc| id.push_arc(*arc)).map_err(der::Error::from)?;
    Ok(Entry { id, value })
}

fn octets(bytes: &[u8]) -> Result<Any, Error> {
    Ok(Any::encode_from(&OctetString::new(bytes)?)?)
}
