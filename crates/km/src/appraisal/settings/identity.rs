//! `[[identity]]`: one enclave or trust domain that is accepted.

use super::hex::Hex;
use serde::{Deserialize, Deserializer, de};
use tcs_verifier::{AcceptedIdentity, Kss, TdReference};

/// An entry as the file contains it; [`Self::accepted`] checks that it is complete.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    mrenclave: Option<Hex<32>>,
    mrsigner: Option<Hex<32>>,
    isv_prod_id: Option<u16>,
    min_isv_svn: Option<u16>,
    config_id: Option<Hex<64>>,
    min_config_svn: Option<u16>,
    isv_ext_prod_id: Option<Hex<16>>,
    isv_family_id: Option<Hex<16>>,
    mr_td: Option<Hex<48>>,
    rtmr0: Option<Rtmr>,
    rtmr1: Option<Rtmr>,
    rtmr2: Option<Rtmr>,
    rtmr3: Option<Rtmr>,
    mr_config_id: Option<Hex<48>>,
    mr_owner: Option<Hex<48>>,
    mr_owner_config: Option<Hex<48>>,
}

/// A run-time measurement, or the word `any`: accepting every value must be explicit.
#[derive(Clone, Copy)]
struct Rtmr(Option<[u8; 48]>);

impl<'de> Deserialize<'de> for Rtmr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "any" {
            return Ok(Self(None));
        }
        let read = Hex::read(&text).map_err(|error| de::Error::custom(format!("{error}, or \"any\"")))?;
        Ok(Self(Some(read.0)))
    }
}

const SHAPES: &str = "an [[identity]] is mrenclave alone; or mrsigner, isv_prod_id and min_isv_svn together; or mr_td \
    and rtmr0 to rtmr3 (each hex or \"any\") together. KSS fields go with an enclave, mr_config_id, mr_owner and \
    mr_owner_config with a trust domain";

impl Entry {
    pub fn accepted(&self) -> Result<AcceptedIdentity, String> {
        let enclave = self.mrenclave.is_some() || self.mrsigner.is_some();
        match (enclave, self.names_enclave(), self.names_trust_domain()) {
            (true, true, false) => self.enclave(),
            (false, false, true) => self.trust_domain(),
            _ => Err(SHAPES.into()),
        }
    }

    fn enclave(&self) -> Result<AcceptedIdentity, String> {
        let kss = Kss {
            config_id: self.config_id.map(|value| value.0),
            min_config_svn: self.min_config_svn,
            isv_ext_prod_id: self.isv_ext_prod_id.map(|value| value.0),
            isv_family_id: self.isv_family_id.map(|value| value.0),
        };
        match (self.mrenclave, self.mrsigner, self.isv_prod_id, self.min_isv_svn) {
            (Some(mrenclave), None, None, None) => {
                Ok(AcceptedIdentity::Enclave { mrenclave: mrenclave.0, kss })
            }
            (None, Some(mrsigner), Some(isv_prod_id), Some(min_isv_svn)) => {
                Ok(AcceptedIdentity::Signer { mrsigner: mrsigner.0, isv_prod_id, min_isv_svn, kss })
            }
            _ => Err(SHAPES.into()),
        }
    }

    fn trust_domain(&self) -> Result<AcceptedIdentity, String> {
        let (Some(mr_td), Some(rtmr0), Some(rtmr1), Some(rtmr2), Some(rtmr3)) =
            (self.mr_td, self.rtmr0, self.rtmr1, self.rtmr2, self.rtmr3)
        else {
            return Err(SHAPES.into());
        };
        Ok(AcceptedIdentity::TrustDomain(Box::new(TdReference {
            mr_td: mr_td.0,
            rtmrs: [rtmr0.0, rtmr1.0, rtmr2.0, rtmr3.0],
            mr_config_id: self.mr_config_id.map(|value| value.0),
            mr_owner: self.mr_owner.map(|value| value.0),
            mr_owner_config: self.mr_owner_config.map(|value| value.0),
        })))
    }

    fn names_enclave(&self) -> bool {
        self.mrenclave.is_some()
            || self.mrsigner.is_some()
            || self.isv_prod_id.is_some()
            || self.min_isv_svn.is_some()
            || self.config_id.is_some()
            || self.min_config_svn.is_some()
            || self.isv_ext_prod_id.is_some()
            || self.isv_family_id.is_some()
    }

    fn names_trust_domain(&self) -> bool {
        self.mr_td.is_some()
            || [self.rtmr0, self.rtmr1, self.rtmr2, self.rtmr3].iter().any(Option::is_some)
            || self.mr_config_id.is_some()
            || self.mr_owner.is_some()
            || self.mr_owner_config.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn parse(text: &str) -> Result<Vec<AcceptedIdentity>, String> {
        Settings::parse(&format!("[[identity]]\n{text}")).map(|settings| settings.policy.identities)
    }

    fn hex(byte: u8, length: usize) -> String {
        format!("\"{}\"", hex::encode(vec![byte; length]))
    }

    #[test]
    fn enclaves_are_read_whole_or_not_at_all() {
        let (one, two) = (hex(1, 32), hex(2, 32));
        let kss = Kss {
            config_id: Some([3; 64]),
            min_config_svn: Some(4),
            isv_ext_prod_id: Some([5; 16]),
            isv_family_id: Some([6; 16]),
        };
        let kss_text = format!(
            "config_id = {}\nmin_config_svn = 4\nisv_ext_prod_id = {}\nisv_family_id = {}\n",
            hex(3, 64),
            hex(5, 16),
            hex(6, 16)
        );
        let exact = AcceptedIdentity::Enclave { mrenclave: [1; 32], kss: Kss::default() };
        assert_eq!(parse(&format!("mrenclave = {one}\n")), Ok(vec![exact.clone()]));
        let signer = format!("mrsigner = {two}\nisv_prod_id = 3\nmin_isv_svn = 4\n");
        let accepted = AcceptedIdentity::Signer {
            mrsigner: [2; 32],
            isv_prod_id: 3,
            min_isv_svn: 4,
            kss: Kss::default(),
        };
        let both = parse(&format!("mrenclave = {one}\n[[identity]]\n{signer}"));
        assert_eq!(both, Ok(vec![exact, accepted]));
        let with_kss = AcceptedIdentity::Enclave { mrenclave: [1; 32], kss };
        assert_eq!(parse(&format!("mrenclave = {one}\n{kss_text}")), Ok(vec![with_kss]));
        let with_kss = AcceptedIdentity::Signer { mrsigner: [2; 32], isv_prod_id: 3, min_isv_svn: 4, kss };
        assert_eq!(parse(&format!("{signer}{kss_text}")), Ok(vec![with_kss]));
        for wrong in [
            String::new(),
            kss_text,
            format!("mrsigner = {two}\n"),
            format!("mrsigner = {two}\nisv_prod_id = 1\n"),
            format!("mrsigner = {two}\nmin_isv_svn = 1\n"),
            format!("mrenclave = {one}\nisv_prod_id = 1\n"),
            format!("mrenclave = {one}\n{signer}"),
            format!("mrenclave = {one}\nmr_owner = {}\n", hex(1, 48)),
        ] {
            assert_eq!(parse(&wrong), Err(SHAPES.to_owned()), "{wrong}");
        }
        let short = parse("mrenclave = \"ab\"\n").unwrap_err();
        assert!(short.contains("line 2") && short.contains("64 hex digits"), "{short}");
    }

    #[test]
    fn trust_domains_say_of_every_rtmr_what_they_want() {
        let (mr_td, rtmr) = (hex(1, 48), hex(2, 48));
        let least = format!("mr_td = {mr_td}\nrtmr0 = {rtmr}\nrtmr1 = \"any\"\nrtmr2 = {rtmr}\n");
        let mut reference = TdReference {
            mr_td: [1; 48],
            rtmrs: [Some([2; 48]), None, Some([2; 48]), None],
            mr_config_id: None,
            mr_owner: None,
            mr_owner_config: None,
        };
        let accepted = |reference| Ok(vec![AcceptedIdentity::TrustDomain(Box::new(reference))]);
        assert_eq!(parse(&format!("{least}rtmr3 = \"any\"\n")), accepted(reference));
        reference.mr_config_id = Some([3; 48]);
        reference.mr_owner = Some([4; 48]);
        reference.mr_owner_config = Some([5; 48]);
        let more = format!(
            "mr_config_id = {}\nmr_owner = {}\nmr_owner_config = {}\n",
            hex(3, 48),
            hex(4, 48),
            hex(5, 48)
        );
        assert_eq!(parse(&format!("{least}rtmr3 = \"any\"\n{more}")), accepted(reference));
        for wrong in [
            least.clone(),
            format!("mr_td = {mr_td}\n"),
            format!("{least}rtmr3 = \"any\"\nmrenclave = {}\n", hex(1, 32)),
            format!("{least}rtmr3 = \"any\"\nmin_config_svn = 1\n"),
            more,
        ] {
            assert_eq!(parse(&wrong), Err(SHAPES.to_owned()), "{wrong}");
        }
        assert!(parse("rtmr0 = \"none\"\n").unwrap_err().contains("or \"any\""));
    }
}
