//! The bits of attributes by their names: ATTRIBUTES, XFRM and MISCSELECT of Intel's Software Developer's
//! Manual (volume 3D, chapter "Enclave Data Structures"; volume 1, chapter "XSAVE"), `TDATTRIBUTES` and XFAM
//! of the TDX Module ABI Specification.

/// A bit that is set.
pub struct Bit {
    /// Its name, or `bit N`.
    pub name: String,
    /// Whether it has a published name.
    pub is_named: bool,
}

type Names = &'static [(usize, &'static str)];

const FLAGS: Names = &[
    (0, "INIT"),
    (1, "DEBUG"),
    (2, "MODE64BIT"),
    (4, "PROVISION_KEY"),
    (5, "EINITTOKEN_KEY"),
    (6, "CET"),
    (7, "KSS"),
    (10, "AEX_NOTIFY"),
];
const STATE_COMPONENTS: Names = &[
    (0, "X87"),
    (1, "SSE"),
    (2, "AVX"),
    (3, "BNDREGS"),
    (4, "BNDCSR"),
    (5, "OPMASK"),
    (6, "ZMM_HI256"),
    (7, "HI16_ZMM"),
    (8, "PT"),
    (9, "PKRU"),
    (10, "PASID"),
    (11, "CET_U"),
    (12, "CET_S"),
    (13, "HDC"),
    (14, "UINTR"),
    (15, "LBR"),
    (16, "HWP"),
    (17, "AMX_TILECFG"),
    (18, "AMX_TILEDATA"),
    (19, "APX"),
];
const MISC_SELECT: Names = &[(0, "EXINFO"), (1, "CPINFO")];
const TD_ATTRIBUTES: Names = &[
    (0, "DEBUG"),
    (4, "HGS_PLUS_PROF"),
    (5, "PERF_PROF"),
    (6, "PMT_PROF"),
    (16, "ICSSD"),
    (17, "SERVTD_EXT"),
    (27, "LASS"),
    (28, "SEPT_VE_DISABLE"),
    (29, "MIGRATABLE"),
    (30, "PKS"),
    (31, "KL"),
    (62, "TPA"),
    (63, "PERFMON"),
];

/// The bits that are set in ATTRIBUTES: flags (8 bytes) and XFRM (8 bytes), little-endian.
pub fn sgx_attributes(attributes: &[u8; 16]) -> Vec<Bit> {
    let (flags, xfrm) = attributes.split_at_checked(8).unwrap_or((attributes, &[]));
    let components = set_bits(xfrm, STATE_COMPONENTS)
        .into_iter()
        .map(|bit| Bit { name: format!("XFRM.{}", bit.name), ..bit });
    set_bits(flags, FLAGS).into_iter().chain(components).collect()
}

/// The bits that are set in MISCSELECT, little-endian.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "one type of function for fields of every width")]
pub fn misc_select(value: &[u8; 4]) -> Vec<Bit> {
    set_bits(value, MISC_SELECT)
}

/// The bits that are set in `TDATTRIBUTES`, little-endian.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "one type of function for fields of every width")]
pub fn td_attributes(value: &[u8; 8]) -> Vec<Bit> {
    set_bits(value, TD_ATTRIBUTES)
}

/// The bits that are set in XFAM, little-endian.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "one type of function for fields of every width")]
pub fn xfam(value: &[u8; 8]) -> Vec<Bit> {
    set_bits(value, STATE_COMPONENTS)
}

fn set_bits(bytes: &[u8], names: Names) -> Vec<Bit> {
    let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
    let set = bits.enumerate().filter(|(_, is_set)| *is_set);
    set.map(|(bit, _)| match names.iter().find(|(number, _)| *number == bit) {
        Some((_, name)) => Bit { name: (*name).to_owned(), is_named: true },
        None => Bit { name: format!("bit {bit}"), is_named: false },
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bits: Vec<Bit>) -> String {
        bits.into_iter().map(|bit| bit.name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn km_u10_bits_have_their_published_names() {
        let mut attributes = [0; 16];
        (attributes[0], attributes[1], attributes[8], attributes[10]) = (0xb5, 0x04, 0xe7, 0x06);
        assert_eq!(
            names(sgx_attributes(&attributes)),
            "INIT MODE64BIT PROVISION_KEY EINITTOKEN_KEY KSS AEX_NOTIFY XFRM.X87 XFRM.SSE XFRM.AVX XFRM.OPMASK \
             XFRM.ZMM_HI256 XFRM.HI16_ZMM XFRM.AMX_TILECFG XFRM.AMX_TILEDATA"
        );
        assert!(sgx_attributes(&[0; 16]).is_empty());
        assert_eq!(
            names(sgx_attributes(&[0x4a, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0])),
            "DEBUG bit 3 CET bit 63"
        );
        assert_eq!(names(misc_select(&[3, 0, 0, 0x80])), "EXINFO CPINFO bit 31");
        assert_eq!(
            names(td_attributes(&0xc000_0000_f803_0071_u64.to_le_bytes())),
            "DEBUG HGS_PLUS_PROF PERF_PROF PMT_PROF ICSSD SERVTD_EXT LASS SEPT_VE_DISABLE MIGRATABLE PKS KL TPA PERFMON"
        );
        assert_eq!(
            names(xfam(&0x0006_1ae7_u64.to_le_bytes())),
            "X87 SSE AVX OPMASK ZMM_HI256 HI16_ZMM PKRU CET_U CET_S AMX_TILECFG AMX_TILEDATA"
        );
        assert_eq!(
            names(xfam(&0x0009_e518_u64.to_le_bytes())),
            "BNDREGS BNDCSR PT PASID HDC UINTR LBR HWP APX",
            "the others"
        );
        let named: Vec<bool> = sgx_attributes(&[9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0])
            .into_iter()
            .map(|bit| bit.is_named)
            .collect();
        assert_eq!(named, [true, false, true, false], "INIT, bit 3, XFRM.X87, XFRM.bit 40");
    }
}
