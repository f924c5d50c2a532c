//! `[platform]`: which machines are accepted.

use super::hex::{Hex, list};
use serde::Deserialize;
use tcs_verifier::PlatformPolicy;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    ppids: Option<Vec<Hex<16>>>,
    instance_ids: Option<Vec<Hex<16>>>,
    fmspcs: Option<Vec<Hex<6>>>,
}

impl Platform {
    pub fn policy(self) -> Result<PlatformPolicy, String> {
        Ok(PlatformPolicy {
            ppids: list("ppids", self.ppids.as_deref())?,
            instances: list("instance_ids", self.instance_ids.as_deref())?,
            fmspcs: list("fmspcs", self.fmspcs.as_deref())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    #[test]
    fn machines_are_read_and_empty_lists_are_mistakes() {
        let (one, two) = ("01".repeat(16), "02".repeat(16));
        let text = format!(
            "[platform]\nppids = [\"{one}\", \"{two}\"]\ninstance_ids = [\"{two}\"]\nfmspcs = \
             [\"00606A000000\"]\n"
        );
        let platform = Settings::parse(&text).unwrap().policy.platform;
        assert_eq!((platform.ppids, platform.instances), (vec![[1; 16], [2; 16]], vec![[2; 16]]));
        assert_eq!(platform.fmspcs, [[0, 0x60, 0x6a, 0, 0, 0]]);
        for key in ["ppids", "instance_ids", "fmspcs"] {
            let error = Settings::parse(&format!("[platform]\n{key} = []\n")).err().unwrap();
            assert!(error.contains(key) && error.contains("empty"), "{error}");
        }
    }
}
