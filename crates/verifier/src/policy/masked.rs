//! Fields of bits, compared under a mask.

use crate::Error;
use crate::attributes;
use crate::checks::{CheckId, Record};

/// A value under a mask, both in the byte order of the report. Only bits that are set in the mask are
/// compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masked<const LEN: usize> {
    /// What the bits must be.
    pub value: [u8; LEN],
    /// Which bits are compared.
    pub mask: [u8; LEN],
}

impl<const LEN: usize> Masked<LEN> {
    /// Compares no bit.
    pub const ANY: Self = Self { value: [0; LEN], mask: [0; LEN] };

    pub(super) fn matches(&self, found: &[u8; LEN]) -> bool {
        self.mask
            .iter()
            .zip(self.value.iter().zip(found))
            .all(|(mask, (value, found))| value & mask == found & mask)
    }

    fn describe(&self) -> String {
        if self.mask.iter().all(|mask| *mask == 0) {
            return "any".into();
        }
        format!("{} under mask {}", hex::encode(self.value), hex::encode(self.mask))
    }
}

/// A field of bits.
pub(super) struct Field<const LEN: usize> {
    pub id: CheckId,
    pub name: &'static str,
    /// The names of the bits that are set in a value.
    pub bits: fn(&[u8; LEN]) -> Vec<String>,
}

impl<const LEN: usize> Field<LEN> {
    pub fn masked(&self, record: &mut Record, asked: &Masked<LEN>, found: &[u8; LEN]) -> Result<(), Error> {
        let (expected, found_bits) = (self.describe(asked), self.named(found));
        let result = if asked.matches(found) {
            Ok(())
        } else {
            let (found, expected) = (found_bits.clone(), expected.clone());
            Err(Error::AttributesRefused { what: self.name, found, expected })
        };
        record.conclude_policy(self.id, expected, found_bits, result)
    }

    /// Hex and names.
    fn named(&self, value: &[u8; LEN]) -> String {
        let names = (self.bits)(value);
        let names = if names.is_empty() { "no bit".to_owned() } else { names.join(", ") };
        format!("{} ({names})", hex::encode(value))
    }

    /// Value and mask, and the names of the bits that must be set and clear. Bits without a name are left
    /// out of those that must be clear.
    fn describe(&self, asked: &Masked<LEN>) -> String {
        if *asked == Masked::ANY {
            return asked.describe();
        }
        let bits = |wanted: fn(u8, u8) -> u8| {
            let mut bits = [0; LEN];
            for (to, (value, mask)) in bits.iter_mut().zip(asked.value.iter().zip(asked.mask)) {
                *to = wanted(*value, mask);
            }
            (self.bits)(&bits)
        };
        let set = bits(|value, mask| value & mask);
        let clear: Vec<String> =
            bits(|value, mask| !value & mask).into_iter().filter(|name| attributes::is_named(name)).collect();
        let listed = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("{} (set: {}; clear: {})", asked.describe(), listed(set), listed(clear))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bits_of_the_mask_are_compared() {
        let asked = Masked { value: [0b0101, 0xff], mask: [0b0111, 0] };
        assert!(asked.matches(&[0b0101, 0]));
        assert!(asked.matches(&[0b1101, 7]));
        for wrong in [0b0100, 0b0001, 0b0111] {
            assert!(!asked.matches(&[wrong, 0xff]), "{wrong:b}");
        }
        // Bits of the value outside the mask have no meaning.
        assert!(Masked { value: [0xff], mask: [0] }.matches(&[0]));
        assert_eq!(asked.describe(), "05ff under mask 0700");
        assert_eq!(Masked::<2>::ANY.describe(), "any");
    }
}
