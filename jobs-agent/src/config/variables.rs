//! Variables, which go before the file.

use std::{path::PathBuf, str::FromStr};

use super::{Config, ConfigFault, TransportKind, UnclaimedPolicy, VARIABLE_PREFIX};

/// Lets each variable that is set go before its member.
pub(super) fn apply(
    config: &mut Config,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), ConfigFault> {
    let text = |name: &str| variable(&format!("{VARIABLE_PREFIX}{name}"));
    let path = |name: &str| text(name).map(PathBuf::from);
    replace(&mut config.thing, text("THING"));
    replace(&mut config.endpoint, text("ENDPOINT"));
    replace(&mut config.state_dir, path("STATE_DIR"));
    replace(&mut config.log, text("LOG"));
    replace(&mut config.jobs, number("JOBS", text)?);
    config.port = number("PORT", text)?.or(config.port);
    let poll = number("POLL_INTERVAL_S", text)?;
    config.poll_interval_s = poll.or(config.poll_interval_s);
    let poll = number("BUSY_POLL_INTERVAL_S", text)?;
    config.busy_poll_interval_s = poll.or(config.busy_poll_interval_s);
    let interval = number("PROGRESS_INTERVAL_MS", text)?;
    config.progress_interval_ms = interval.or(config.progress_interval_ms);
    for (member, name) in [
        (&mut config.ca, "CA"),
        (&mut config.cert, "CERT"),
        (&mut config.key, "KEY"),
    ] {
        *member = path(name).or_else(|| member.take());
    }
    config.client_id = text("CLIENT_ID").or_else(|| config.client_id.take());
    let unclaimed = [
        ("reject", UnclaimedPolicy::Reject),
        ("leave", UnclaimedPolicy::Leave),
    ];
    replace(&mut config.unclaimed, word("UNCLAIMED", text, &unclaimed)?);
    let transport = [
        ("mqtt", TransportKind::Mqtt),
        ("https", TransportKind::Https),
    ];
    replace(&mut config.transport, word("TRANSPORT", text, &transport)?);
    Ok(())
}

fn replace<T>(member: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *member = value;
    }
}

fn number<T: FromStr>(
    name: &str,
    text: impl Fn(&str) -> Option<String>,
) -> Result<Option<T>, ConfigFault> {
    let value = text(name).map(|text| text.trim().parse());
    let value = value.transpose();
    value.map_err(|_| ConfigFault::Number(name.to_owned()))
}

/// One of a few words.
fn word<T: Copy>(
    name: &str,
    text: impl Fn(&str) -> Option<String>,
    words: &[(&str, T)],
) -> Result<Option<T>, ConfigFault> {
    let Some(text) = text(name) else {
        return Ok(None);
    };
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| Some(*value)).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        ConfigFault::Value(format!(
            "{VARIABLE_PREFIX}{name} must be {}",
            words.join(" or ")
        ))
    })
}
