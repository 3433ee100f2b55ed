//! A program's file as it is sent, and whether it will run on a host with other libraries.

use sha2::{Digest, Sha256};
use snapmigrate_models::format::hex;
use std::fs;
use std::path::{Path, PathBuf};

/// `PT_INTERP`: the program names a loader, so it needs the host's libraries (elf(5)).
const NEEDS_LOADER: u32 = 3;

/// A file to be sent.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Whether it needs libraries of the host.
    pub dynamic: bool,
}

/// Why a file cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// It is no program.
    #[error("{path} is no 64-bit Linux program")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

impl Program {
    /// Reads a program.
    ///
    /// # Errors
    /// [`ProgramError`].
    pub fn read(path: &Path) -> Result<Self, ProgramError> {
        let bytes = fs::read(path).map_err(|source| ProgramError::Read {
            path: path.to_owned(),
            source,
        })?;
        let dynamic = needs_loader(&bytes).ok_or_else(|| ProgramError::Foreign {
            path: path.to_owned(),
        })?;
        let sha256 = hex(&Sha256::digest(&bytes));
        Ok(Self {
            bytes,
            sha256,
            dynamic,
        })
    }
}

/// Whether a little-endian 64-bit ELF file has a program header of kind `PT_INTERP`; none when it is no such file.
fn needs_loader(bytes: &[u8]) -> Option<bool> {
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let half = |at: usize| {
        Some(usize::from(u16::from_le_bytes(
            bytes.get(at..at + 2)?.try_into().ok()?,
        )))
    };
    let start = usize::try_from(u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, count) = (half(54)?, half(56)?);
    let kinds = (0..count).map(|index| {
        let at = start.checked_add(index.checked_mul(size)?)?;
        Some(u32::from_le_bytes(
            bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
        ))
    });
    Some(kinds.collect::<Option<Vec<u32>>>()?.contains(&NEEDS_LOADER))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn elf(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0_u8; 64 + 56 * kinds.len()];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(kinds.len()).unwrap();
        for (index, kind) in kinds.iter().enumerate() {
            bytes[64 + 56 * index..][..4].copy_from_slice(&kind.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_program_that_needs_a_loader_is_told_from_a_static_one() {
        assert_eq!(needs_loader(&elf(&[1, 2])), Some(false));
        assert_eq!(needs_loader(&elf(&[6, 3, 1])), Some(true));
        for cut in [0, 5, 40, 70] {
            assert_eq!(needs_loader(&elf(&[6, 3])[..cut]), None, "{cut}");
        }
        assert_eq!(needs_loader(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn the_digest_is_that_of_the_file() {
        let this = std::env::current_exe().unwrap();
        let program = Program::read(&this).unwrap();
        assert_eq!(
            program.sha256,
            crate::quiesce::host::survey::digest(&this).unwrap()
        );
        assert!(matches!(
            Program::read(Path::new("/etc/hostname")),
            Err(ProgramError::Foreign { .. })
        ));
    }
}
