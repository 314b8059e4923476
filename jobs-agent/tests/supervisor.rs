//! One step under its supervisor: what it leaves behind, and what it cannot do.

mod support;

use std::{fs, time::Duration};

use jobs_agent::{
    step::{StepFault, Steps},
    supervise::{End, Found, Ids, Leftovers, Spec, StepResult},
};
use support::{Room, alive, soon, steps, until};

async fn run(room: &Room, spec: &Spec) -> StepResult {
    soon(steps().run(&room.folder(), spec)).await.unwrap()
}

#[tokio::test]
async fn both_outputs_and_the_exit_status_are_kept() {
    let room = Room::new();
    let result = run(&room, &room.spec("echo out; echo err >&2; exit 3")).await;
    assert_eq!(result.end, End::Exited(3));
    assert_eq!(
        (result.stdout.as_str(), result.stderr.as_str()),
        ("out\n", "err\n")
    );
    assert_eq!((result.stdout_bytes, result.stderr_lines), (4, 1));
}

#[tokio::test]
async fn megabytes_on_both_outputs_at_once_do_not_block_the_step() {
    let room = Room::new();
    // First all of stderr, then all of stdout: whoever reads them one after the other hangs.
    let text = "yes error | head -c 3000000 >&2; yes output | head -c 3000000; echo; echo done";
    let result = run(&room, &room.spec(text)).await;
    assert_eq!(result.end, End::Exited(0));
    assert!(result.stderr_bytes == 3_000_000 && result.stdout_bytes > 3_000_000);
    assert!(result.stdout.ends_with("done\n") && result.stdout.len() <= 4_096);
}

#[tokio::test]
async fn a_program_that_is_missing_is_told() {
    let room = Room::new();
    let mut spec = room.spec("");
    spec.program = room.path("nothing-here");
    let result = run(&room, &spec).await;
    assert!(
        matches!(&result.end, End::NotStarted(why) if why.contains("No such file")),
        "{result:?}"
    );
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_nothing_else() {
    let room = Room::new();
    let mut spec = room.spec("env | sort");
    spec.env.push(("ONE".into(), "1".into()));
    let result = run(&room, &spec).await;
    let names: Vec<&str> = result
        .stdout
        .lines()
        .filter_map(|line| line.split('=').next())
        // What the shell itself sets.
        .filter(|name| !matches!(*name, "PWD" | "OLDPWD" | "SHLVL" | "_"))
        .collect();
    assert_eq!(names, ["ONE", "PATH"]);
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_ended_with_all_its_children() {
    let room = Room::new();
    let text = "sleep 1000 & echo $! > child; (trap '' TERM; sleep 1000) & echo $! > deaf; wait";
    let mut spec = room.spec(text);
    spec.limit_ms = 500;
    let result = run(&room, &spec).await;
    assert_eq!(result.end, End::TimedOut);
    assert!(!alive(&room.read("child")) && !alive(&room.read("deaf")));
}

#[tokio::test]
async fn a_process_that_left_its_session_is_ended_too() {
    let room = Room::new();
    let text = "setsid sh -c 'echo $$ > away; trap \"\" TERM HUP; sleep 1000' & \
                while ! [ -s away ]; do sleep 0.05; done; echo said";
    let result = run(&room, &room.spec(text)).await;
    assert_eq!(result.end, End::Exited(0), "its output is not waited for");
    assert_eq!(result.stdout, "said\n");
    assert!(result.leftovers_ended >= 1);
    assert!(!alive(&room.read("away")));
}

#[tokio::test]
async fn a_daemon_stays_where_the_operator_wants_it() {
    let room = Room::new();
    let text = "setsid sleep 1000 >/dev/null 2>&1 & echo $! > daemon; exit 0";
    let mut spec = room.spec(text);
    spec.leftovers = Leftovers::Keep;
    let result = run(&room, &spec).await;
    assert_eq!((result.end, result.leftovers_ended), (End::Exited(0), 0));
    let daemon = room.read("daemon");
    assert!(alive(&daemon));
    assert!(
        std::process::Command::new("kill")
            .arg(daemon.trim())
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn a_stop_gives_time_to_clean_up() {
    let room = Room::new();
    let spec =
        room.spec("trap 'echo bye; exit 7' TERM; echo up > up; while :; do sleep 0.05; done");
    let folder = room.folder();
    let steps = steps();
    let running = steps.run(&folder, &spec);
    let stopping = async {
        until("the start", || room.path("up").exists()).await;
        Steps::stop(&folder).await.unwrap();
    };
    let (result, ()) = soon(async { tokio::join!(running, stopping) }).await;
    let result = result.unwrap();
    assert_eq!(result.end, End::Stopped);
    assert_eq!(result.stdout, "bye\n");
}

#[tokio::test]
async fn a_step_outlives_the_agent_and_runs_once() {
    let room = Room::new();
    let spec = room.spec("echo x >> effects; while ! [ -e go ]; do sleep 0.05; done; echo end");
    let folder = room.folder();
    {
        let steps = steps();
        let life = steps.run(&folder, &spec);
        tokio::pin!(life);
        tokio::select! {
            _ = &mut life => panic!("it waits"),
            () = until("the start", || room.path("effects").exists()) => {}
        }
        // The agent dies here.
    }
    assert_eq!(folder.look().unwrap(), Found::Running);
    fs::write(room.path("go"), "").unwrap();
    let result = run(&room, &spec).await;
    assert_eq!(
        (result.end.clone(), result.stdout.as_str()),
        (End::Exited(0), "end\n")
    );
    assert_eq!(
        run(&room, &spec).await,
        result,
        "asked again, it is not done again"
    );
    assert_eq!(room.read("effects"), "x\n");
}

#[tokio::test]
async fn a_step_whose_supervisor_was_killed_is_known_as_interrupted() {
    let room = Room::new();
    let spec = room.spec("echo $$ > pid; echo $PPID > supervisor; sleep 1000");
    let folder = room.folder();
    let steps = steps();
    let life = steps.run(&folder, &spec);
    let murder = async {
        until("the start", || !room.read("supervisor").trim().is_empty()).await;
        for name in ["supervisor", "pid"] {
            let mut kill = std::process::Command::new("kill");
            assert!(
                kill.args(["-KILL", room.read(name).trim()])
                    .status()
                    .unwrap()
                    .success()
            );
        }
    };
    let (fault, ()) = soon(async { tokio::join!(life, murder) }).await;
    assert!(matches!(fault, Err(StepFault::Interrupted)), "{fault:?}");
}

#[tokio::test]
async fn too_many_processes_end_the_step() {
    let room = Room::new();
    // A bounded bomb: 200 processes at most, so that a failed test harms nobody.
    let text = "for i in 1 2 3 4 5 6 7 8 9 10; do (for j in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; \
                do setsid sleep 600 & done; sleep 600) & done; wait";
    let mut spec = room.spec(text);
    spec.limits.processes = Some(40);
    let result = run(&room, &spec).await;
    assert_eq!(result.end, End::TooManyProcesses);
    assert!(result.leftovers_ended > 0);
}

#[tokio::test]
async fn a_file_cannot_grow_without_bound() {
    let room = Room::new();
    let mut spec = room.spec("head -c 1000000 /dev/zero > big");
    // The least that can be configured.
    spec.limits.file_bytes = Some(65_536);
    let result = run(&room, &spec).await;
    assert_ne!(result.end, End::Exited(0));
    assert_eq!(fs::metadata(room.path("big")).unwrap().len(), 65_536);
}

#[tokio::test]
async fn privileges_cannot_be_gained_and_no_core_is_left() {
    let room = Room::new();
    let result = run(
        &room,
        &room.spec("grep NoNewPrivs /proc/self/status; ulimit -c"),
    )
    .await;
    assert_eq!(result.stdout, "NoNewPrivs:\t1\n0\n");
}

#[tokio::test]
async fn a_step_of_another_user_has_none_of_our_groups() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: nobody can be become");
        return;
    }
    let room = Room::new();
    let mut spec = room.spec("id -u; id -G");
    spec.user = Some(Ids {
        uid: 65_534,
        gid: 65_534,
    });
    let result = run(&room, &spec).await;
    assert_eq!(result.stdout, "65534\n65534\n", "{result:?}");
}

#[tokio::test]
async fn a_fork_bomb_of_another_user_hits_its_limit() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: the limit would count this user's other processes");
        return;
    }
    let room = Room::new();
    let mut spec = room.spec("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 30 & done; wait");
    spec.user = Some(Ids {
        uid: 65_533,
        gid: 65_533,
    });
    spec.limits.processes = Some(8);
    let result = run(&room, &spec).await;
    assert_ne!(result.end, End::Exited(0), "{result:?}");
    assert!(result.took_ms < Duration::from_secs(25).as_millis() as u64);
}

#[tokio::test]
async fn a_step_that_fills_the_disk_keeps_its_result() {
    if !disk_can_be_mounted() {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let room = Room::new();
    let mut spec = room.spec("head -c 10000000 /dev/zero > \"$DISK/fill\"; echo full; exit 5");
    let disk = room.path("disk");
    fs::create_dir(&disk).unwrap();
    spec.env
        .push(("DISK".into(), disk.to_str().unwrap().into()));
    fs::write(room.path("spec"), serde_json::to_vec(&spec).unwrap()).unwrap();
    // A disk of its own, which nobody else sees and which is gone with its processes.
    let text = "mount -t tmpfs -o size=300k none disk || exit 77; mkdir disk/step; \
                \"$0\" supervise disk/step < spec; cp disk/step/result.json .";
    let output = tokio::process::Command::new("unshare")
        .args(["-rm", "sh", "-c", text])
        .arg(steps().program)
        .current_dir(room.dir.path())
        .output();
    let _ = soon(output).await;
    let result: StepResult = serde_json::from_str(room.read("result.json").trim()).unwrap();
    assert_eq!(result.end, End::Exited(5), "{result:?}");
    assert_eq!(result.stdout, "full\n");
    assert!(result.stderr.contains("No space left"), "{result:?}");
}

fn disk_can_be_mounted() -> bool {
    std::process::Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"])
        .status()
        .is_ok_and(|status| status.success())
}
