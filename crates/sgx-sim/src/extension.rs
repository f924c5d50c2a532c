//! The SGX extension of a PCK certificate, 1.2.840.113741.1.13.1 (Intel SGX PCK Certificate and CRL Profile
//! Specification).

use crate::error::Error;
use crate::options::{Options, PckCa};
use der::asn1::{Any, OctetString};
use der::oid::ObjectIdentifier;
use der::{Encode, Sequence, Tag};

/// Arcs of the extension itself.
pub const OID: [u64; 7] = [1, 2, 840, 113_741, 1, 13, 1];

#[derive(Sequence)]
struct Entry {
    id: ObjectIdentifier,
    value: Any,
}

/// The value of the extension: a sequence of pairs of object identifier and value.
pub fn value(options: &Options) -> Result<Vec<u8>, Error> {
    let mut tcb = Vec::new();
    for (component, svn) in (1u32..).zip(options.components) {
        tcb.push(entry(&[2, component], Any::encode_from(&svn)?)?);
    }
    tcb.push(entry(&[2, 17], Any::encode_from(&options.pce_svn)?)?);
    tcb.push(entry(&[2, 18], octets(&options.cpu_svn)?)?);
    let mut entries = vec![
        entry(&[1], octets(&options.ppid)?)?,
        entry(&[2], Any::encode_from(&tcb)?)?,
        entry(&[3], octets(&options.pce_id)?)?,
        entry(&[4], octets(&options.fmspc)?)?,
        entry(&[5], Any::new(Tag::Enumerated, [options.sgx_type])?)?,
    ];
    if options.ca == PckCa::Platform {
        let flag = |number: u32, set: bool| entry(&[7, number], Any::encode_from(&set)?);
        let flags = vec![
            flag(1, options.dynamic_platform)?,
            flag(2, options.cached_keys)?,
            flag(3, options.smt_enabled)?,
        ];
        entries.push(entry(&[6], octets(&options.platform_instance)?)?);
        entries.push(entry(&[7], Any::encode_from(&flags)?)?);
    }
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
