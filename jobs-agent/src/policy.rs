//! What the operator of this device allows, and what a step comes down to under it.

mod builtin;
pub(crate) mod files;
pub(crate) mod users;

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

pub use builtin::{Builtin, Tools};
pub use files::FileFault;
pub use users::{UserFault, find_user};

use crate::{
    document::{Action, Condition, Step, StepDocument},
    supervise::{Leftovers, Limits},
};

/// Stands for every name in a list of allowed ones.
const ANY: &str = "*";

/// What documents with steps may do; nothing, unless something is listed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepPolicy {
    /// Folders of handlers; the first one is meant where a document names none.
    pub handler_dirs: Vec<PathBuf>,
    /// File names of handlers that may run; `*` allows every one in the folders.
    pub handlers: Vec<String>,
    /// Programs that `runCommand` may run: names that are found in `path`, or full paths; `*`
    /// allows any, which hands the device to whoever can create jobs.
    pub commands: Vec<String>,
    /// Handlers of the Device Client that this agent does itself.
    pub builtin: Vec<Builtin>,
    /// Users that `runAsUser` may name; list `root` to allow steps as root at all.
    pub users: Vec<String>,
    /// The user of steps that name none; without it, the agent's own.
    pub default_user: Option<String>,
    /// What handlers get as their first argument.
    pub handler_user_argument: UserArgument,
    /// Where programs are looked for, and the `PATH` of steps.
    pub path: String,
    /// What else stands in the environment of steps.
    pub env: BTreeMap<String, String>,
    /// Folder that steps start in.
    pub working_dir: PathBuf,
    /// How long one step may take, seconds.
    pub step_timeout_s: u64,
    /// How long a step may take to end after SIGTERM, seconds.
    pub grace_s: u64,
    /// What happens to a step of which nobody knows how far it came.
    pub interrupted: Interrupted,
    /// What happens to processes that a step leaves behind.
    pub leftovers: Leftovers,
    /// What a step may use.
    pub limits: Limits,
    /// Attributes of this device that `conditions` may ask for.
    pub attributes: BTreeMap<String, String>,
    /// Whether conditions are looked at; the Device Client never does.
    pub ignore_conditions: bool,
    /// Programs behind the built-in handlers.
    pub tools: Tools,
    /// Where `download-file.sh` may get files from and put them.
    pub download: DownloadPolicy,
}

/// Where files may come from and go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DownloadPolicy {
    /// Folders that files may be put into, and below.
    pub dirs: Vec<PathBuf>,
    /// Hosts that files may come from; `*.example.org` stands for every host below, `*` for any.
    pub hosts: Vec<String>,
    /// Allows addresses of this machine and of private and link-local networks.
    pub private_addresses: bool,
    /// Allows `http://` beside `https://`.
    pub plain_http: bool,
    /// Most bytes of a file; `None`: as many as there is room for.
    pub bytes_max: Option<u64>,
}

/// The first argument of handlers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserArgument {
    /// What the document says under `runAsUser`, as the Device Client does.
    #[default]
    Name,
    /// An empty text: the Device Client's sample handlers then do not call sudo.
    Empty,
    /// No such argument.
    None,
}

/// What happens to a step of which nobody knows how far it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interrupted {
    /// It is done again; a handler that restarts the machine relies on this.
    #[default]
    Rerun,
    /// The step has failed.
    Fail,
}

impl Default for StepPolicy {
    fn default() -> Self {
        Self {
            handler_dirs: vec!["/etc/jobs-agent/handlers".into()],
            handlers: Vec::new(),
            commands: Vec::new(),
            builtin: Vec::new(),
            users: Vec::new(),
            default_user: None,
            handler_user_argument: UserArgument::default(),
            path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            env: BTreeMap::new(),
            working_dir: "/".into(),
            // A package upgrade over a slow line; hours are for the operator to allow.
            step_timeout_s: 3_600,
            // Two seconds below the ten that most service managers give.
            grace_s: 5,
            interrupted: Interrupted::default(),
            leftovers: Leftovers::default(),
            limits: Limits::default(),
            attributes: BTreeMap::new(),
            ignore_conditions: false,
            tools: Tools::default(),
            download: DownloadPolicy::default(),
        }
    }
}

/// Why a step is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyFault(pub(crate) String);

/// What a step comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Run a program of a handler folder.
    Handler {
        /// The folder, one of the policy's.
        dir: PathBuf,
        /// The file in it.
        name: String,
        /// All arguments.
        args: Vec<String>,
    },
    /// Run a program found by its name or full path.
    Command {
        /// Name or full path.
        program: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// Restart the machine.
    Reboot,
    /// Download a file.
    Download {
        /// From where.
        url: String,
        /// To where.
        path: PathBuf,
    },
}

impl StepPolicy {
    /// Whether documents with steps can do anything here.
    #[must_use]
    pub fn allows_anything(&self) -> bool {
        !(self.handlers.is_empty() && self.commands.is_empty() && self.builtin.is_empty())
    }

    /// Whether this device has a handler of this name. Where every name is allowed, the folders
    /// tell: an operation of which they know nothing is somebody else's.
    #[must_use]
    pub fn knows(&self, handler: &str) -> bool {
        let there = |dir: &PathBuf| dir.join(handler).symlink_metadata().is_ok();
        self.builtin_named(handler).is_some()
            || self.handlers.iter().any(|allowed| allowed == handler)
            || (listed(&self.handlers, handler) && self.handler_dirs.iter().any(there))
    }

    fn builtin_named(&self, handler: &str) -> Option<Builtin> {
        Builtin::of_handler(handler).filter(|builtin| self.builtin.contains(builtin))
    }

    /// What each step comes down to.
    ///
    /// # Errors
    /// The first step that is not allowed, or the first condition that does not hold.
    pub fn tasks(&self, document: &StepDocument) -> Result<Vec<Task>, PolicyFault> {
        if !self.ignore_conditions {
            for condition in &document.conditions {
                self.check(condition)?;
            }
        }
        let task = |step: &Step| {
            self.task(step)
                .map_err(|fault| PolicyFault(format!("step \"{}\": {fault}", step.name)))
        };
        document.all().map(task).collect()
    }

    fn task(&self, step: &Step) -> Result<Task, PolicyFault> {
        let user = step.run_as.as_deref();
        if let Some(user) = user
            && !self.users.iter().any(|allowed| allowed == user)
        {
            return fault(format!("`runAsUser` {user} is not allowed on this device"));
        }
        match &step.action {
            Action::Handler { name, args, path } => {
                if path.is_none()
                    && let Some(builtin) = self.builtin_named(name)
                {
                    return builtin.task(args, &self.tools, &self.download);
                }
                self.handler(name, args, path.as_deref(), user)
            }
            Action::Command(words) => self.command(words),
        }
    }

    fn handler(
        &self,
        name: &str,
        args: &[String],
        path: Option<&str>,
        user: Option<&str>,
    ) -> Result<Task, PolicyFault> {
        if name.contains('/') || matches!(name, "." | "..") {
            return fault("`handler` must be a file name without a folder".into());
        }
        if !listed(&self.handlers, name) {
            return fault(format!("handler {name} is not allowed on this device"));
        }
        let dir = match path {
            None => self.handler_dirs.first(),
            // By its name, not by where it leads: nothing to climb out of.
            Some(path) => {
                let path = path.trim_end_matches('/');
                self.handler_dirs.iter().find(|dir| dir.as_os_str() == path)
            }
        };
        let Some(dir) = dir else {
            return fault("`path` is no handler folder of this device".into());
        };
        let user = match self.handler_user_argument {
            UserArgument::Name => Some(user.unwrap_or_default().to_owned()),
            UserArgument::Empty => Some(String::new()),
            UserArgument::None => None,
        };
        Ok(Task::Handler {
            dir: dir.clone(),
            name: name.to_owned(),
            args: user.into_iter().chain(args.iter().cloned()).collect(),
        })
    }

    fn command(&self, words: &[String]) -> Result<Task, PolicyFault> {
        let Some((program, args)) = words.split_first() else {
            return fault("`command` names no program".into());
        };
        if !listed(&self.commands, program) {
            return fault(format!("command {program} is not allowed on this device"));
        }
        if program.contains('/') && !program.starts_with('/') {
            return fault(format!("command {program} must be a name or a full path"));
        }
        Ok(Task::Command {
            program: program.clone(),
            args: args.to_vec(),
        })
    }

    fn check(&self, condition: &Condition) -> Result<(), PolicyFault> {
        let Condition { key, values, kind } = condition;
        if !matches!(kind.as_str(), "" | "stringEqual") {
            return fault(format!(
                "a condition on {key} compares by {kind}, which is not known"
            ));
        }
        let system = || {
            (key == "operatingSystem")
                .then(files::operating_system)
                .flatten()
        };
        let Some(found) = self.attributes.get(key).cloned().or_else(system) else {
            return fault(format!(
                "a condition asks for {key}, which this device does not know"
            ));
        };
        if values.contains(&found) {
            return Ok(());
        }
        let wanted = values.join(" or ");
        fault(format!("condition not met: {key} is {found}, not {wanted}"))
    }
}

fn fault<T>(text: String) -> Result<T, PolicyFault> {
    Err(PolicyFault(text))
}

fn listed(allowed: &[String], name: &str) -> bool {
    allowed
        .iter()
        .any(|allowed| allowed == name || allowed == ANY)
}

#[cfg(test)]
mod tests;
