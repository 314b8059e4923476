//! Which boot of the machine this is, and entropy for this process.
//!
//! The agent reports success of work that needs a reboot only from the boot after it, so it has to
//! tell boots apart. Linux draws a random UUID at each boot and shows it in
//! `/proc/sys/kernel/random/boot_id` (random(4)).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use tracing::warn;

/// Where Linux shows the identity of the present boot.
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";
/// Names the boot instead of the operating system, when set and not empty.
///
/// For containers, where a restart of the container is the reboot, and for demonstrations.
pub const BOOT_ID_VARIABLE: &str = "JOBS_AGENT_BOOT_ID";

/// The identity of one boot; equal exactly when the machine was not restarted in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootId([u8; 16]);

/// No boot identity or no entropy could be had.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The operating system gave no random bytes.
    #[error("no random bytes from /dev/urandom ({0}): make the device available to this process")]
    NoEntropy(#[source] io::Error),
}

impl BootId {
    /// The identity of the present boot.
    ///
    /// In this order: `explicit`, the variable [`BOOT_ID_VARIABLE`], the kernel's identity, and
    /// without `/proc` a random one. The random one makes **each start of the process count as a
    /// boot**: work that waits for a reboot is then resumed after a mere restart of the agent. A
    /// handler that must not be fooled compares the version that runs, which it should do anyway.
    ///
    /// # Errors
    /// [`BootError::NoEntropy`] only when the last resort fails too.
    pub fn present(explicit: Option<&str>) -> Result<Self, BootError> {
        let variable = std::env::var(BOOT_ID_VARIABLE).ok();
        let named = explicit
            .or(variable.as_deref())
            .filter(|name| !name.trim().is_empty());
        Self::choose(named, Path::new(BOOT_ID_PATH))
    }

    fn choose(named: Option<&str>, kernel: &Path) -> Result<Self, BootError> {
        if let Some(name) = named {
            return Ok(Self::named(name));
        }
        match fs::read_to_string(kernel).map(|text| parse_uuid(text.trim())) {
            Ok(Some(id)) => return Ok(Self(id)),
            Ok(None) => warn!(path = %kernel.display(), "not a boot id; using a random one"),
            Err(error) => warn!(path = %kernel.display(), %error, "no boot id; using a random one"),
        }
        random().map(Self)
    }

    /// The identity that stands for a name: a UUID is taken as it is, any other text is hashed.
    ///
    /// ```
    /// use agent_std::boot::BootId;
    ///
    /// assert_eq!(BootId::named("first"), BootId::named("first"));
    /// assert_ne!(BootId::named("first"), BootId::named("second"));
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Self {
        let name = name.trim();
        Self(parse_uuid(name).unwrap_or_else(|| {
            let low = fnv1a(0xcbf2_9ce4_8422_2325, name.as_bytes());
            // The second half starts from the first, so that the halves are not equal.
            let high = fnv1a(low, name.as_bytes());
            ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
        }))
    }

    /// The bytes, as a record keeps them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Entropy of this start of the process: seed of client tokens and of back-off jitter.
///
/// # Errors
/// [`BootError::NoEntropy`] when the operating system gives none.
pub fn process_entropy() -> Result<u64, BootError> {
    random().map(u64::from_ne_bytes)
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], BootError> {
    // Does not block once the machine has booted (random(4)), and needs neither another crate nor
    // a system call by hand.
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")
        .and_then(|mut device| device.read_exact(&mut bytes))
        .map_err(BootError::NoEntropy)?;
    Ok(bytes)
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|&c| c != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_be_bytes)
}

/// FNV-1a: names are chosen by the operator, so collisions by intent are no concern.
fn fnv1a(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_uuid_is_taken_byte_by_byte() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("boot_id");
        fs::write(&file, "00112233-4455-6677-8899-aabbccddeeff\n").unwrap();
        let id = BootId::choose(None, &file).unwrap();
        assert_eq!(id.as_bytes()[..3], [0x00, 0x11, 0x22]);
        assert_eq!(id.as_bytes()[15], 0xff);
        assert_eq!(id, BootId::choose(None, &file).unwrap());
    }

    #[test]
    fn a_name_given_goes_before_the_kernel() {
        let id = BootId::choose(Some("demo-2"), Path::new(BOOT_ID_PATH)).unwrap();
        assert_eq!(id, BootId::named("demo-2"));
    }

    #[test]
    fn without_a_usable_kernel_id_each_start_counts_as_a_boot() {
        let dir = tempfile::tempdir().unwrap();
        let garbage = dir.path().join("boot_id");
        fs::write(&garbage, "not a uuid").unwrap();
        for path in [Path::new("/nonexistent/boot_id"), &garbage] {
            let first = BootId::choose(None, path).unwrap();
            assert_ne!(first, BootId::choose(None, path).unwrap());
        }
    }

    #[test]
    fn an_empty_name_is_no_name() {
        assert_eq!(BootId::present(Some("a")).unwrap(), BootId::named("a"));
        // Whatever source is left, it is not the hash of the empty text.
        assert_ne!(BootId::present(Some(" ")).unwrap(), BootId::named(""));
    }

    #[test]
    fn entropy_differs_from_call_to_call() {
        assert_ne!(process_entropy().unwrap(), process_entropy().unwrap());
    }
}
