//! Documents with steps, from the service to the process and back.

mod support;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use agent_std::{Agent, Endpoint, Reboot, RebootError, boot::BootId, link::BackoffOptions};
use jobs_agent::{
    policy::{Builtin, StepPolicy},
    runner::StepRunner,
};
use jobs_emulator::{Emulator, Options, model::ExecutionStatus};
use serde_json::{Value, json};
use support::{Room, script, soon, steps, until};

const THING: &str = "pump-17";

struct World {
    emulator: Emulator,
    room: Room,
    policy: StepPolicy,
    /// Name of the present boot.
    boot: String,
    resets: Arc<AtomicU32>,
}

/// Counts what would reset the machine.
struct Counted(Arc<AtomicU32>);

impl Reboot for Counted {
    fn reboot(&self) -> Result<(), RebootError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl World {
    async fn new() -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        emulator
            .with_service(|service, now| service.create_thing(now, THING))
            .unwrap();
        let room = Room::new();
        let handlers = room.path("handlers");
        fs::create_dir(&handlers).unwrap();
        let policy = StepPolicy {
            handler_dirs: vec![handlers],
            handlers: vec!["*".into()],
            commands: vec!["echo".into(), "false".into(), "touch".into()],
            users: vec!["root".into()],
            working_dir: room.dir.path().to_owned(),
            grace_s: 1,
            ..StepPolicy::default()
        };
        Self {
            emulator,
            room,
            policy,
            boot: "one".into(),
            resets: Arc::default(),
        }
    }

    fn handler(&self, name: &str, text: &str) {
        script(&self.room.path("handlers").join(name), text);
    }

    fn create(&self, job: &str, document: &Value) {
        self.emulator
            .with_service(|service, now| service.create_job(now, job, &[THING], document))
            .unwrap();
    }

    /// One life of the agent, until the future is dropped.
    async fn agent(&self) {
        let endpoint = Endpoint::plain("127.0.0.1", self.emulator.mqtt_addr().port());
        let endpoint = endpoint.options(|options| {
            options.backoff = BackoffOptions {
                base_ms: 20,
                cap_ms: 50,
                permanent_ms: 100,
            };
        });
        let folders = self.room.path("steps");
        Agent::new(THING, endpoint)
            .state_dir(self.room.path("records"))
            .boot(BootId::named(&self.boot))
            .reboot_with(Counted(Arc::clone(&self.resets)))
            .configure(|config| {
                config.backoff.base_ms = 20;
                config.settle_ms = 200;
                config.list_grace_ms = 200;
                config.progress_interval_ms = 0;
            })
            .handlers(StepRunner::new(self.policy.clone(), steps(), folders))
            .run()
            .await
            .unwrap();
    }

    fn detail(&self, job: &str, key: &str) -> String {
        let execution = self.emulator.service().execution(THING, job, None).unwrap();
        let details = json!(execution.status_details);
        details[key].as_str().unwrap_or_default().to_owned()
    }

    fn is(&self, job: &str, status: ExecutionStatus) -> bool {
        let execution = self.emulator.service().execution(THING, job, None);
        execution.is_some_and(|execution| execution.status == status)
    }

    /// Lets an agent live until a job has this status.
    async fn ends(&self, job: &str, status: ExecutionStatus) {
        self.lives_until(&format!("{job} to be {status:?}"), || self.is(job, status))
            .await;
    }

    async fn lives_until(&self, what: &str, holds: impl FnMut() -> bool) {
        soon(async {
            tokio::select! {
                () = self.agent() => panic!("the agent ended"),
                () = until(what, holds) => {}
            }
        })
        .await;
    }
}

fn command(name: &str, command: &str) -> Value {
    json!({"action": {"name": name, "type": "runCommand", "input": {"command": command}}})
}

fn handler(name: &str) -> Value {
    json!({"action": {"name": name, "type": "runHandler", "input": {"handler": name}}})
}

#[tokio::test]
async fn steps_run_in_order_and_the_final_one_last() {
    let world = World::new().await;
    let note = |word: &str| {
        world.handler(
            &format!("{word}.sh"),
            &format!("echo {word} >> order; echo said {word}"),
        );
        handler(&format!("{word}.sh"))
    };
    let document = json!({"version": "1.0", "includeStdOut": true,
        "steps": [note("one"), note("two")], "finalStep": note("three")});
    world.create("order", &document);
    world.ends("order", ExecutionStatus::Succeeded).await;
    assert_eq!(world.room.read("order"), "one\ntwo\nthree\n");
    assert_eq!(
        world.detail("order", "stdout"),
        "said one said two said three "
    );
    let left = fs::read_dir(world.room.path("steps")).unwrap().count();
    assert_eq!(left, 0, "nothing is left of a job that ended");
}

#[tokio::test]
async fn the_first_failure_ends_the_job_unless_it_is_ignored() {
    let world = World::new().await;
    let mut ignored = command("tolerated", "false");
    ignored["action"]["ignoreStepFailure"] = json!("true");
    let document = json!({"version": "1.0", "steps": [ignored, command("mark", "touch,marked"),
        command("bad", "false"), command("never", "touch,never")],
        "finalStep": command("final", "touch,final")});
    world.create("fails", &document);
    world.ends("fails", ExecutionStatus::Failed).await;
    assert_eq!(
        world.detail("fails", "reason"),
        "step 3 \"bad\": exit status 1"
    );
    assert_eq!(world.detail("fails", "ignoredFailures"), "1");
    assert!(world.room.path("marked").exists());
    assert!(!world.room.path("never").exists() && !world.room.path("final").exists());
}

#[tokio::test]
async fn lines_on_stderr_count_against_what_is_allowed() {
    let world = World::new().await;
    world.handler("noisy.sh", "echo one >&2; echo two >&2");
    let with = |lines: u32| {
        let mut step = handler("noisy.sh");
        step["action"]["allowStdErr"] = json!(lines);
        json!({"version": "1.0", "steps": [step]})
    };
    world.create("two-allowed", &with(2));
    world.create("one-allowed", &with(1));
    world.ends("one-allowed", ExecutionStatus::Failed).await;
    assert!(world.is("two-allowed", ExecutionStatus::Succeeded));
    assert!(
        world
            .detail("one-allowed", "reason")
            .contains("2 lines on stderr, 1 are allowed")
    );
    assert_eq!(world.detail("one-allowed", "stderr"), "one two ");
}

#[tokio::test]
async fn the_old_schema_runs_its_handler() {
    let world = World::new().await;
    world.handler("old.sh", "echo \"[$1] [$2]\"");
    let document = json!({"operation": "old.sh", "args": ["a b"], "path": "default",
        "includeStdOut": "true"});
    world.create("old", &document);
    world.ends("old", ExecutionStatus::Succeeded).await;
    assert_eq!(world.detail("old", "stdout"), "[] [a b] ");
}

#[tokio::test]
async fn what_cannot_be_done_is_rejected_with_a_reason() {
    let world = World::new().await;
    for (job, document, named) in [
        (
            "command",
            json!({"version": "1.0", "steps": [command("s", "sh,-c,id")]}),
            "sh is not allowed",
        ),
        (
            "escape",
            json!({"version": "1.0", "steps": [handler("../../bin/sh")]}),
            "file name",
        ),
        (
            "version",
            json!({"version": "2.0", "steps": [command("s", "echo")]}),
            "2.0",
        ),
        ("empty", json!({"version": "1.0", "steps": []}), "`steps`"),
    ] {
        world.create(job, &document);
        world.ends(job, ExecutionStatus::Rejected).await;
        let reason = world.detail(job, "reason");
        assert!(reason.contains(named), "{job}: {reason}");
    }
}

#[tokio::test]
async fn control_characters_and_megabytes_of_output_do_no_harm() {
    let world = World::new().await;
    world.handler(
        "loud.sh",
        "yes noise | head -c 2000000; printf 'a\\033[31mb\\000c\\377d'",
    );
    let document = json!({"version": "1.0", "includeStdOut": true, "steps": [handler("loud.sh")]});
    world.create("loud", &document);
    world.ends("loud", ExecutionStatus::Succeeded).await;
    let stdout = world.detail("loud", "stdout");
    assert!(stdout.ends_with("a[31mbc\u{FFFD}d"), "{stdout:?}");
    assert!(stdout.chars().count() <= 1_024 && !stdout.contains(char::is_control));
}

#[tokio::test]
async fn presigned_urls_in_an_output_are_not_passed_on() {
    let world = World::new().await;
    world.handler(
        "leak.sh",
        "echo GET 'https://b.s3.amazonaws.com/f?X-Amz-Signature=5ec2e7' >&2; exit 1",
    );
    world.create(
        "leak",
        &json!({"version": "1.0", "steps": [handler("leak.sh")]}),
    );
    world.ends("leak", ExecutionStatus::Failed).await;
    let stderr = world.detail("leak", "stderr");
    assert!(
        stderr.contains("s3.amazonaws.com") && !stderr.contains("5ec2e7"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_canceled_job_takes_its_processes_with_it() {
    let world = World::new().await;
    world.handler("long.sh", "sleep 1000 & echo $! > child; wait");
    world.create(
        "long",
        &json!({"version": "1.0", "steps": [handler("long.sh")]}),
    );
    let mut canceled = false;
    world
        .lives_until("the end of the child", || {
            let child = world.room.read("child");
            if !canceled && !child.trim().is_empty() {
                canceled = true;
                let cancel = world
                    .emulator
                    .with_service(|service, now| service.cancel_job(now, "long", true));
                cancel.unwrap();
            }
            canceled && !support::alive(&child)
        })
        .await;
    assert!(world.is("long", ExecutionStatus::Canceled));
}

#[tokio::test]
async fn an_agent_that_dies_in_a_step_finds_it_again_and_goes_on_behind_it() {
    let world = World::new().await;
    world.handler("first.sh", "echo first >> effects");
    world.handler(
        "second.sh",
        "echo second >> effects; while ! [ -e go ]; do sleep 0.05; done",
    );
    world.handler("third.sh", "echo third >> effects");
    let steps = json!([
        handler("first.sh"),
        handler("second.sh"),
        handler("third.sh")
    ]);
    world.create("resume", &json!({"version": "1.0", "steps": steps}));
    // Three lives, each of which ends in the second step.
    for _ in 0..3 {
        world
            .lives_until("the second step", || {
                world.room.read("effects").contains("second")
            })
            .await;
    }
    fs::write(world.room.path("go"), "").unwrap();
    world.ends("resume", ExecutionStatus::Succeeded).await;
    assert_eq!(world.room.read("effects"), "first\nsecond\nthird\n");
}

#[tokio::test]
async fn a_step_of_an_earlier_job_of_the_same_name_is_not_taken_for_this_one() {
    let world = World::new().await;
    world.handler(
        "old.sh",
        "echo old >> effects; while ! [ -e go ]; do sleep 0.05; done",
    );
    world.handler("new.sh", "echo new >> effects");
    world.create(
        "again",
        &json!({"version": "1.0", "steps": [handler("old.sh")]}),
    );
    world
        .lives_until("the old step", || {
            world.room.read("effects").contains("old")
        })
        .await;
    world
        .emulator
        .with_service(|service, now| service.delete_job(now, "again", true))
        .unwrap();
    // The record goes too, as with a disk that was replaced; the folder of the step stays.
    fs::remove_dir_all(world.room.path("records")).unwrap();
    world.create(
        "again",
        &json!({"version": "1.0", "steps": [handler("new.sh")]}),
    );
    world.ends("again", ExecutionStatus::Succeeded).await;
    assert_eq!(world.room.read("effects"), "old\nnew\n");
}

#[tokio::test]
async fn conditions_decide_before_anything_is_done() {
    let mut world = World::new().await;
    world.policy.attributes.insert("site".into(), "lab".into());
    let document = |value: &str| {
        json!({"version": "1.0", "steps": [command("s", "touch,done")],
            "conditions": [{"key": "site", "value": [value], "type": "stringEqual"}]})
    };
    world.create("field", &document("field"));
    world.ends("field", ExecutionStatus::Rejected).await;
    assert!(!world.room.path("done").exists());
    world.create("lab", &document("lab"));
    world.ends("lab", ExecutionStatus::Succeeded).await;
    assert!(world.room.path("done").exists());
}

#[tokio::test]
async fn the_managed_templates_for_services_and_packages_run_without_a_shell() {
    let mut world = World::new().await;
    world.policy.builtin = Builtin::ALL.to_vec();
    let tool = world.room.script("tool.sh", "echo \"$@\" >> calls");
    let tool = tool.to_str().unwrap().to_owned();
    world.policy.tools.install = vec![tool.clone(), "install".into()];
    world.policy.tools.service = vec![tool];
    let template = |name: &str, handler: &str, parameter: &str| {
        // As the service renders a template whose optional parameters were not given.
        json!({"version": "1.0", "steps": [{"action": {"name": name, "type": "runHandler",
            "input": {"handler": handler, "args": [parameter], "path": ""}, "runAsUser": ""}}]})
    };
    world.create(
        "install",
        &template("Install-Application", "install-packages.sh", "vim htop"),
    );
    world.create(
        "restart",
        &template("Restart-Application", "restart-services.sh", "ssh"),
    );
    world.create(
        "hostile",
        &template("Stop-Application", "stop-services.sh", "--help"),
    );
    world.ends("hostile", ExecutionStatus::Rejected).await;
    world.ends("restart", ExecutionStatus::Succeeded).await;
    assert!(world.is("install", ExecutionStatus::Succeeded));
    assert_eq!(
        world.room.read("calls"),
        "install vim htop\nrestart -- ssh\n"
    );
}

#[tokio::test]
async fn a_reboot_between_two_steps_goes_on_behind_it_and_only_in_the_next_boot() {
    let mut world = World::new().await;
    world.policy.builtin = vec![Builtin::Reboot];
    world.handler("before.sh", "echo before >> effects");
    world.handler("after.sh", "echo after >> effects");
    let steps = json!([
        handler("before.sh"),
        handler("reboot.sh"),
        handler("after.sh")
    ]);
    world.create("reboot", &json!({"version": "1.0", "steps": steps}));
    let resets = Arc::clone(&world.resets);
    world
        .lives_until("the reset", || resets.load(Ordering::SeqCst) == 1)
        .await;
    // A restart of the agent alone is no boot: it asks for the reset again.
    world
        .lives_until("the reset", || resets.load(Ordering::SeqCst) == 2)
        .await;
    assert_eq!(world.room.read("effects"), "before\n");
    world.boot = "two".into();
    world.ends("reboot", ExecutionStatus::Succeeded).await;
    assert_eq!(world.room.read("effects"), "before\nafter\n");
}

#[tokio::test]
async fn a_step_that_runs_for_longer_than_allowed_fails_the_job() {
    let mut world = World::new().await;
    world.policy.step_timeout_s = 1;
    world.handler("slow.sh", "sleep 1000");
    world.create(
        "slow",
        &json!({"version": "1.0", "steps": [handler("slow.sh")]}),
    );
    tokio::time::timeout(
        Duration::from_secs(50),
        world.ends("slow", ExecutionStatus::Failed),
    )
    .await
    .unwrap();
    assert!(world.detail("slow", "reason").contains("took too long"));
}
