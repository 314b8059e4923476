//! Everything a step starts with.

use std::path::Path;

use super::DRAIN_MS;
use crate::{
    document::Step,
    policy::{FileFault, StepPolicy, Task, UserFault, files, find_user, users::PASSWD},
    supervise::{Ids, Spec},
};

/// Why a step cannot be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartFault {
    #[error(transparent)]
    File(#[from] FileFault),
    #[error(transparent)]
    User(#[from] UserFault),
    #[error("would run as root, which this device does not allow: name a user")]
    Root,
    #[error("the agent is not root and cannot become user {0}")]
    NotRoot(String),
    #[error("is no program")]
    NoProgram,
}

/// What the supervisor has to do for this step.
pub(super) fn spec(
    policy: &StepPolicy,
    step: &Step,
    task: &Task,
    job_id: &str,
) -> Result<Spec, StartFault> {
    let (program, args) = match task {
        Task::Handler { dir, name, args } => (files::handler(dir, name)?, args),
        Task::Command { program, args } => (files::command(program, &policy.path)?, args),
        Task::Reboot | Task::Download { .. } => return Err(StartFault::NoProgram),
    };
    let name = step.run_as.as_deref().or(policy.default_user.as_deref());
    let (user, home) = user(policy, name)?;
    let mut env = vec![
        ("PATH".to_owned(), policy.path.clone()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("HOME".to_owned(), home),
        ("JOBS_AGENT_JOB_ID".to_owned(), job_id.to_owned()),
        ("JOBS_AGENT_STEP".to_owned(), step.name.clone()),
        // Package managers that would ask otherwise.
        ("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned()),
    ];
    for name in ["USER", "LOGNAME"] {
        env.extend(user.1.map(|user| (name.to_owned(), user.to_owned())));
    }
    env.extend(policy.env.clone());
    Ok(Spec {
        program,
        args: args.clone(),
        env,
        working_dir: policy.working_dir.clone(),
        user: user.0,
        limit_ms: policy.step_timeout_s.saturating_mul(1_000),
        grace_ms: policy.grace_s.saturating_mul(1_000),
        drain_ms: DRAIN_MS,
        leftovers: policy.leftovers,
        limits: policy.limits,
    })
}

type User<'a> = (Option<Ids>, Option<&'a str>);

/// Whom the step becomes, and the home folder.
fn user<'a>(policy: &StepPolicy, name: Option<&'a str>) -> Result<(User<'a>, String), StartFault> {
    let me = rustix::process::geteuid().as_raw();
    let root_allowed = policy.users.iter().any(|user| user == "root");
    let Some(name) = name else {
        if me == 0 && !root_allowed {
            return Err(StartFault::Root);
        }
        return Ok(((None, None), "/".to_owned()));
    };
    let (ids, home) = find_user(name, Path::new(PASSWD))?;
    if ids.uid == 0 && !root_allowed {
        return Err(StartFault::Root);
    }
    if me != 0 && ids.uid != me {
        return Err(StartFault::NotRoot(name.to_owned()));
    }
    let ids = (me == 0).then_some(ids);
    Ok(((ids, Some(name)), home))
}
