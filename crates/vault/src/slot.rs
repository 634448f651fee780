//! A slot: the 64 bytes in which one key lives. Little-endian; 64 so that none crosses a sector and each overwrite is whole.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0 | 1: the key stands here bare; 2: sealed by a credential; 3: sealed in a token ([`crate::protection`]). A free or destroyed slot is 64 zero bytes |
//! | 1..4 | retention class (0 in slots that format version 1 wrote) |
//! | 4..8 | stream |
//! | 8..12 | hour: hours since 1970 UTC |
//! | 12..16 | sealed: first 4 bytes of BLAKE3 of bytes 0..12 and 16..64; bare: 0 |
//! | 16..24 | id of the key, random |
//! | 24..56 | bare: the key |
//! | 56..64 | bare: first 8 bytes of BLAKE3 of bytes 0..56 |
//! | 24..64 | sealed: the key, sealed (40 bytes) |
//!
//! So damage shows without opening anything, and a start need not ask a token for each of hundreds of thousands of slots.

use crate::{
    error::VaultError,
    protection::{Protection, Purpose, SEALED, Seal},
    volume::{take, u32_at, u64_at},
};
use zeroize::Zeroizing;

pub(crate) const SLOT: usize = 64;
pub(crate) const FREE: [u8; SLOT] = [0; SLOT];

/// Which key a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seal: Seal,
    pub(crate) class: u32,
    pub(crate) stream: u32,
    pub(crate) hour: u32,
    pub(crate) id: u64,
}

impl Place {
    pub(crate) fn purpose(&self) -> Purpose<'static> {
        Purpose::Slot { class: self.class, stream: self.stream, hour: self.hour, id: self.id }
    }

    /// The slot's bytes.
    pub(crate) fn encode(
        &self,
        vault: [u8; 16],
        protection: &Protection,
        key: &[u8; 32],
    ) -> Result<Zeroizing<[u8; SLOT]>, VaultError> {
        let mut slot = Zeroizing::new(FREE);
        slot[0] = self.seal.code();
        slot[1..4].copy_from_slice(&self.class.to_le_bytes()[..3]);
        slot[4..8].copy_from_slice(&self.stream.to_le_bytes());
        slot[8..12].copy_from_slice(&self.hour.to_le_bytes());
        slot[16..24].copy_from_slice(&self.id.to_le_bytes());
        if self.seal == Seal::Bare {
            slot[24..56].copy_from_slice(key);
            let check = blake3::hash(&slot[..56]);
            slot[56..].copy_from_slice(&check.as_bytes()[..8]);
        } else {
            slot[24..].copy_from_slice(&protection.seal(vault, self.purpose(), key)?);
            let check = check_of_sealed(&slot);
            slot[12..16].copy_from_slice(&check);
        }
        Ok(slot)
    }

    /// The key in its slot's bytes.
    pub(crate) fn open(
        &self,
        vault: [u8; 16],
        protection: &Protection,
        slot: &[u8; SLOT],
    ) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        if self.seal == Seal::Bare {
            return Ok(Zeroizing::new(take(slot, 24)));
        }
        protection.open(self.seal, vault, self.purpose(), &take::<SEALED>(slot, 24))
    }
}

/// What 64 bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Free,
    Live(Place),
    Damaged,
}

impl Slot {
    pub(crate) fn parse(slot: &[u8; SLOT]) -> Self {
        if *slot == FREE {
            return Self::Free;
        }
        let Some(seal) = Seal::of(slot[0]) else { return Self::Damaged };
        let whole = if seal == Seal::Bare {
            take::<8>(slot, 56) == take::<8>(blake3::hash(&take::<56>(slot, 0)).as_bytes(), 0)
        } else {
            take::<4>(slot, 12) == check_of_sealed(slot)
        };
        if !whole {
            return Self::Damaged;
        }
        let mut class = [0; 4];
        class[..3].copy_from_slice(&take::<3>(slot, 1));
        Self::Live(Place {
            seal,
            class: u32::from_le_bytes(class),
            stream: u32_at(slot, 4),
            hour: u32_at(slot, 8),
            id: u64_at(slot, 16),
        })
    }
}

fn check_of_sealed(slot: &[u8; SLOT]) -> [u8; 4] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&take::<12>(slot, 0)).update(&take::<48>(slot, 16));
    take(hasher.finalize().as_bytes(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protection::Credential;

    fn place(seal: Seal) -> Place {
        Place { seal, class: 28, stream: 0x0102_0304, hour: 498_701, id: 0x0506_0708_090a_0b0c }
    }

    #[test]
    fn a_slot_is_what_it_was_bare_and_sealed() {
        let credential = Protection::Credential(Credential::new(&[5; 32]).unwrap());
        for (protection, name) in
            [(Protection::FileMode, "slot-bare.bin"), (credential, "slot-credential.bin")]
        {
            let place = place(protection.seal_kind());
            let slot = place.encode([1; 16], &protection, &[4; 32]).unwrap();
            let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
            if std::env::var_os("RTR_WRITE_GOLDEN").is_some() {
                std::fs::write(&golden, *slot).unwrap();
            }
            assert!(
                slot[..] == std::fs::read(golden).unwrap(),
                "the bytes of a slot changed: is that a new version?"
            );
            assert_eq!(Slot::parse(&slot), Slot::Live(place));
            assert_eq!(*place.open([1; 16], &protection, &slot).unwrap(), [4; 32]);
            for at in 0..SLOT {
                let mut bent = *slot;
                bent[at] ^= 1;
                assert_eq!(Slot::parse(&bent), Slot::Damaged, "byte {at}");
            }
        }
        assert_eq!(Slot::parse(&FREE), Slot::Free);
    }

    #[test]
    fn a_sealed_key_opens_by_its_credential_and_for_its_place_alone() {
        let of = |byte: u8| Protection::Credential(Credential::new(&[byte; 40]).unwrap());
        let place = place(Seal::Credential);
        let slot = place.encode([1; 16], &of(5), &[4; 32]).unwrap();
        assert!(!slot.windows(8).any(|w| w == [4; 8]), "the key is not in it");
        let refused = |place: &Place, vault, protection: &Protection| {
            matches!(place.open(vault, protection, &slot), Err(VaultError::Sealed(_)))
        };
        assert!(refused(&place, [1; 16], &of(6)) && refused(&place, [2; 16], &of(5)));
        assert!(refused(&place, [1; 16], &Protection::FileMode));
        assert!(refused(&Place { stream: 9, ..place }, [1; 16], &of(5)));
        assert!(Credential::new(&[1; 31]).is_none(), "a password is no key");
    }
}
