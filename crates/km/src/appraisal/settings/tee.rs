//! `[sgx]` and `[tdx]`: attributes, and the TDX module.

use super::hex::{Hex, list};
use serde::Deserialize;
use tcs_verifier::{Masked, SgxPolicy, TdxPolicy};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgx {
    attributes: Option<Hex<16>>,
    attributes_mask: Option<Hex<16>>,
    misc_select: Option<Hex<4>>,
    misc_select_mask: Option<Hex<4>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tdx {
    td_attributes: Option<Hex<8>>,
    td_attributes_mask: Option<Hex<8>>,
    xfam: Option<Hex<8>>,
    xfam_mask: Option<Hex<8>>,
    mr_seams: Option<Vec<Hex<48>>>,
}

impl Sgx {
    pub fn policy(self) -> Result<SgxPolicy, String> {
        let default = SgxPolicy::default();
        Ok(SgxPolicy {
            attributes: masked("attributes", self.attributes, self.attributes_mask, default.attributes)?,
            misc_select: masked("misc_select", self.misc_select, self.misc_select_mask, default.misc_select)?,
        })
    }
}

impl Tdx {
    pub fn policy(self) -> Result<TdxPolicy, String> {
        let default = TdxPolicy::default();
        Ok(TdxPolicy {
            td_attributes: masked(
                "td_attributes",
                self.td_attributes,
                self.td_attributes_mask,
                default.td_attributes,
            )?,
            xfam: masked("xfam", self.xfam, self.xfam_mask, default.xfam)?,
            mr_seams: list("mr_seams", self.mr_seams.as_deref())?,
        })
    }
}

/// Value and mask, both or neither: a value without a mask would leave open which bits are meant.
fn masked<const LEN: usize>(
    name: &str,
    value: Option<Hex<LEN>>,
    mask: Option<Hex<LEN>>,
    default: Masked<LEN>,
) -> Result<Masked<LEN>, String> {
    match (value, mask) {
        (None, None) => Ok(default),
        (Some(value), Some(mask)) => {
            if value.0.iter().zip(mask.0).any(|(value, mask)| value & !mask != 0) {
                return Err(format!("{name} has bits that {name}_mask does not compare"));
            }
            Ok(Masked { value: value.0, mask: mask.0 })
        }
        _ => Err(format!("{name} and {name}_mask go together")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    #[test]
    fn values_and_masks_go_together() {
        let (a, m) = ("05".to_owned() + &"00".repeat(15), "ff".to_owned() + &"00".repeat(15));
        let text = format!(
            "[sgx]\nattributes = \"{a}\"\nattributes_mask = \"{m}\"\nmisc_select = \"01000000\"\n\
             misc_select_mask = \"ffffffff\"\n[tdx]\ntd_attributes = \"0000001000000000\"\n\
             td_attributes_mask = \"ffffff3000000000\"\nxfam = \"e700000000000000\"\n\
             xfam_mask = \"ffffffffffffffff\"\nmr_seams = [\"{}\"]\n",
            "09".repeat(48)
        );
        let policy = Settings::parse(&text).unwrap().policy;
        assert_eq!((policy.sgx.attributes.value[0], policy.sgx.attributes.mask[0]), (0x05, 0xff));
        assert_eq!((policy.sgx.misc_select.value, policy.sgx.misc_select.mask), ([1, 0, 0, 0], [0xff; 4]));
        assert_eq!(policy.tdx.td_attributes.value, [0, 0, 0, 0x10, 0, 0, 0, 0]);
        assert_eq!(policy.tdx.td_attributes.mask, [0xff, 0xff, 0xff, 0x30, 0, 0, 0, 0]);
        assert_eq!((policy.tdx.xfam.value[0], policy.tdx.xfam.mask), (0xe7, [0xff; 8]));
        assert_eq!(policy.tdx.mr_seams, [[9; 48]]);
        for (wrong, why) in [
            (format!("[sgx]\nattributes = \"{a}\"\n"), "go together"),
            (format!("[sgx]\nattributes_mask = \"{m}\"\n"), "go together"),
            (
                "[sgx]\nmisc_select = \"01000000\"\nmisc_select_mask = \"00000000\"\n".into(),
                "does not compare",
            ),
            ("[tdx]\nxfam = \"e7\"\n".into(), "16 hex digits"),
            ("[tdx]\nmr_seams = []\n".into(), "is empty"),
        ] {
            let error = Settings::parse(&wrong).err().unwrap();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
