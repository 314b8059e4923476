//! Handlers that the agent brings along, under the names that the AWS managed templates use.
//!
//! The AWS managed templates (AWS IoT developer guide, "Managed templates") are documents that name
//! sample handlers of the Device Client. Those are shell scripts; these are the same operations
//! without a shell: an argument can be an argument and nothing else.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{DownloadPolicy, PolicyFault, Task, fault};

/// A handler that the agent brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Builtin {
    /// `reboot.sh` (AWS-Reboot)
    Reboot,
    /// `download-file.sh` (AWS-Download-File)
    DownloadFile,
    /// `install-packages.sh` (AWS-Install-Application)
    InstallPackages,
    /// `remove-packages.sh` (AWS-Remove-Application)
    RemovePackages,
    /// `start-services.sh` (AWS-Start-Application)
    StartServices,
    /// `stop-services.sh` (AWS-Stop-Application)
    StopServices,
    /// `restart-services.sh` (AWS-Restart-Application)
    RestartServices,
}

/// The programs behind the built-in handlers, with their first arguments; names follow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tools {
    /// Installs packages.
    pub install: Vec<String>,
    /// Removes packages.
    pub remove: Vec<String>,
    /// Controls services; `start`, `stop` or `restart` follows.
    pub service: Vec<String>,
}

impl Default for Tools {
    /// Debian and its like.
    fn default() -> Self {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        Self {
            install: words("apt-get install --yes --"),
            remove: words("apt-get remove --yes --"),
            service: words("systemctl"),
        }
    }
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Reboot,
        Self::DownloadFile,
        Self::InstallPackages,
        Self::RemovePackages,
        Self::StartServices,
        Self::StopServices,
        Self::RestartServices,
    ];

    /// The name under which documents call it.
    #[must_use]
    pub const fn handler(self) -> &'static str {
        match self {
            Self::Reboot => "reboot.sh",
            Self::DownloadFile => "download-file.sh",
            Self::InstallPackages => "install-packages.sh",
            Self::RemovePackages => "remove-packages.sh",
            Self::StartServices => "start-services.sh",
            Self::StopServices => "stop-services.sh",
            Self::RestartServices => "restart-services.sh",
        }
    }

    /// The one that documents call by this name.
    #[must_use]
    pub fn of_handler(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|builtin| builtin.handler() == name)
    }

    pub(super) fn task(
        self,
        args: &[String],
        tools: &Tools,
        download: &DownloadPolicy,
    ) -> Result<Task, PolicyFault> {
        match self {
            Self::Reboot => Ok(Task::Reboot),
            Self::DownloadFile => match args {
                [url, path] => download.task(url, path),
                _ => fault("needs two arguments: the URL and the path of the file".into()),
            },
            Self::InstallPackages => with_names(&tools.install, &[], args),
            Self::RemovePackages => with_names(&tools.remove, &[], args),
            Self::StartServices => with_names(&tools.service, &["start", "--"], args),
            Self::StopServices => with_names(&tools.service, &["stop", "--"], args),
            Self::RestartServices => with_names(&tools.service, &["restart", "--"], args),
        }
    }
}

/// A tool with names behind it. A template parameter is one text with blanks between the names.
fn with_names(tool: &[String], then: &[&str], args: &[String]) -> Result<Task, PolicyFault> {
    let Some((program, first)) = tool.split_first() else {
        return fault("is not configured on this device".into());
    };
    let names: Vec<&str> = args.iter().flat_map(|arg| arg.split_whitespace()).collect();
    if names.is_empty() {
        return fault("needs at least one name".into());
    }
    // Names of packages and units; nothing a tool takes for an option, a file or a version range.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-:@=~".contains(&byte);
    for name in &names {
        if !name.starts_with(|first: char| first.is_ascii_alphanumeric())
            || !name.bytes().all(plain)
        {
            return fault(format!("{name:?} is no name of a package or service"));
        }
    }
    let words = first.iter().map(String::as_str);
    let args = words.chain(then.iter().copied()).chain(names);
    Ok(Task::Command {
        program: program.clone(),
        args: args.map(str::to_owned).collect(),
    })
}

impl DownloadPolicy {
    pub(super) fn task(&self, url: &str, path: &str) -> Result<Task, PolicyFault> {
        let path = Path::new(path);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::RootDir);
        if !path.is_absolute() || !path.components().all(plain) || path.ends_with("/") {
            return fault("the path must be absolute and without `..`".into());
        }
        // Written as it is meant: `a/./b` and `a//b` are compared as `a/b`.
        let path: PathBuf = path.components().collect();
        let inside = |dir: &PathBuf| path.starts_with(dir) && path != *dir;
        if !self.dirs.iter().any(inside) {
            return fault(format!(
                "{} is in no download folder of this device",
                path.display()
            ));
        }
        self.check_url(url)?;
        let url = url.to_owned();
        Ok(Task::Download { url, path })
    }

    /// Whether a file may come from here, as far as its URL tells; addresses are looked at when
    /// they are known.
    pub(crate) fn check_url(&self, url: &str) -> Result<(), PolicyFault> {
        let rest = match url.split_once("://") {
            Some(("https", rest)) => rest,
            Some(("http", rest)) if self.plain_http => rest,
            _ if self.plain_http => return fault("the URL must be http:// or https://".into()),
            _ => return fault("the URL must be https://".into()),
        };
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return fault("the URL has a character that must be percent-encoded".into());
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return fault("the URL must not hold a user name".into());
        }
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        if host.is_empty() {
            return fault("the URL names no host".into());
        }
        let host = host.to_ascii_lowercase();
        let allowed = self.hosts.iter().any(|pattern| {
            let pattern = pattern.to_ascii_lowercase();
            match pattern.strip_prefix("*.") {
                Some(domain) => host
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
                None => pattern == "*" || pattern == host,
            }
        });
        if allowed {
            Ok(())
        } else {
            fault(format!(
                "{host} is not among the hosts that this device may talk to"
            ))
        }
    }
}
