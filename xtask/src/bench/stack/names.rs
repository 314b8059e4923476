//! Mangled names, as far as a reader needs them.

/// The last two names in a mangled one (RFC 2603), for readers: the owner and its own.
pub(super) fn plain(mangled: &str) -> String {
    // The crate that an instance was made for comes last, and says nothing here.
    let own = match mangled.rfind("Cs") {
        Some(at) if at > 0 && mangled.starts_with("_R") => &mangled[..at],
        _ => mangled,
    };
    let text = if last_names(own).is_empty() {
        mangled
    } else {
        own
    };
    let names = last_names(text);
    match names[..] {
        [.., owner, own] if mangled.starts_with("_R") => format!("{owner}::{own}"),
        _ => mangled.into(),
    }
}

/// Names with their length before them; shorter ones may be part of a hash.
fn last_names(text: &str) -> Vec<&str> {
    const SHORTEST: usize = 3;
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let len: usize = rest[..digits].parse().unwrap_or(0);
        let name = rest.get(digits..digits + len).filter(|_| len >= SHORTEST);
        let fits = |name: &&str| {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(legal)
        };
        let name = name.filter(fits);
        if let Some(name) = name {
            names.push(name);
            at += digits + len;
        } else if rest.is_empty() {
            break;
        } else {
            at += digits.max(1);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mangled_name_is_shortened() {
        let mangled = "_RNvMs1_NtCs1fMTgUA6zyC_15jobs_agent_core5agentNtB5_5Agent14handle_outcomeCs6XzxtYJKTlZ_5stack";
        assert_eq!(plain(mangled), "Agent::handle_outcome");
        let reason =
            "_RNvMs0_NtCs1fMTgUA6zyC_15jobs_agent_core7outcomeINtB5_5PairsKj100_E6reasonB7_";
        assert_eq!(plain(reason), "Pairs::reason");
        assert_eq!(plain("stack_poll"), "stack_poll");
    }
}
