//! `cargo xtask mutants`: breaks each promise in a copy of the core; the named test must fail.
//!
//! A test that cannot fail proves nothing. Each mutant here is one small, plausible mistake, and
//! names the test that has to catch it.

use std::{fs, path::Path};

use crate::run::{captured, cargo, command, root, target};

/// One mistake, and who must notice.
struct Mutant {
    /// What the mistake is.
    name: &'static str,
    /// The promise that it breaks.
    promise: &'static str,
    file: &'static str,
    /// Text that occurs once in the file, and what stands there in the mutant.
    from: &'static str,
    to: &'static str,
    /// Test target of `jobs-testkit`, and the test in it.
    test: (&'static str, &'static str),
}

/// Each must have been seen to fail.
const PROMISES: [&str; 9] = ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9"];

const MUTANTS: [Mutant; 16] = [
    Mutant {
        name: "start before the record is durable",
        promise: "P1",
        file: "jobs-agent-core/src/emit.rs",
        from: "                slot.stored = true;\n",
        to: "                slot.stored = true;\n                \
             if slot.phase == crate::Phase::Opening {\n                    \
             slot.step(crate::Event::Persisted);\n                    \
             slot.start_run(crate::RunId(sequence));\n                }\n",
        test: ("promises", "slow_storage_holds_the_start_back"),
    },
    Mutant {
        name: "start without the service's word",
        promise: "P1",
        file: "jobs-agent-core/src/table.rs",
        from: "on_plan(phase, P::Claiming, P::Opening)",
        to: "on_plan(phase, P::Opening, P::Opening)",
        test: ("stories", "a_happy_job_succeeds_once"),
    },
    Mutant {
        name: "act on a duplicate",
        promise: "P1",
        file: "jobs-agent-core/src/offer.rs",
        from: "        if let Some(slot) = self.holding(&key) {\n            if slot.phase",
        to: "        if let Some(slot) = self.holding(&key)\n            \
             && slot.phase == Phase::Listed\n        {\n            if slot.phase",
        test: (
            "promises",
            "a_repeated_notification_of_a_running_job_starts_nothing_beside_it",
        ),
    },
    Mutant {
        name: "erase before the outcome is answered",
        promise: "P2",
        file: "jobs-agent-core/src/slot.rs",
        from: "            Phase::Free | Phase::Draining | Phase::Listed | Phase::Planning | Phase::Claiming\n",
        to: "            Phase::Free | Phase::Draining | Phase::Listed | Phase::Planning | Phase::Reporting\n",
        test: ("stories", "a_happy_job_succeeds_once"),
    },
    Mutant {
        name: "report before the outcome is durable",
        promise: "P2",
        file: "jobs-agent-core/src/table.rs",
        from: "Event::OutcomeGiven => on_handler(phase, P::Closing, Some(P::Free)),",
        to: "Event::OutcomeGiven => on_handler(phase, P::Reporting, Some(P::Free)),",
        test: ("stories", "a_happy_job_succeeds_once"),
    },
    Mutant {
        name: "no bound on attempts",
        promise: "P3",
        file: "jobs-agent-core/src/restore.rs",
        from: "        let event = match record.kind {",
        to: "        let exhausted = exhausted && false;\n        let event = match record.kind {",
        test: (
            "promises",
            "work_that_takes_the_device_down_is_given_up_after_the_budget",
        ),
    },
    Mutant {
        name: "forget the checkpoint",
        promise: "P3",
        file: "jobs-agent-core/src/restore.rs",
        from: "        self.work.has_checkpoint = true;\n        if self.header.is(Flag::NEEDS_DOCUMENT) {",
        to: "        if true {",
        test: (
            "crash",
            "a_crash_anywhere_in_a_happy_job_repeats_at_most_the_piece_it_hit",
        ),
    },
    Mutant {
        name: "ignore the identity of the boot",
        promise: "P4",
        file: "jobs-agent-core/src/restore.rs",
        from: "let other_boot = self.header.boot() != boot;",
        to: "let other_boot = self.header.boot() != boot || boot == boot;",
        test: ("promises", "a_restart_of_the_process_is_no_reboot"),
    },
    Mutant {
        name: "do not stop a handler whose job is over",
        promise: "P5",
        file: "jobs-agent-core/src/table.rs",
        from: "P::Running | P::Saving => Some(P::Draining),",
        to: "P::Running | P::Saving => None,",
        test: (
            "stories",
            "a_cancelled_job_is_stopped_and_the_next_one_is_done",
        ),
    },
    Mutant {
        name: "take an old notification for a cancel",
        promise: "P5",
        file: "jobs-agent-core/src/inbound.rs",
        from: "        self.verify_all_but(on);\n        Ok(())",
        to: "        for slot in &mut self.slots {\n            \
             if slot.is_claimed() && on & bit(slot) == 0 {\n                \
             slot.over(crate::StopReason::Over, crate::Ending::AlreadyOver);\n            \
             }\n        }\n        Ok(())",
        test: (
            "promises",
            "an_old_notification_does_not_stop_a_running_job",
        ),
    },
    Mutant {
        name: "drop a job whose message cannot be read",
        promise: "P6",
        file: "jobs-agent-core/src/reply.rs",
        from: "if tries.saturating_add(1) < UNREADABLE_READS_MAX {",
        to: "if tries.saturating_add(1) < UNREADABLE_READS_MAX || tries < u8::MAX {",
        test: ("hostile", "a_job_cut_in_its_document_is_rejected"),
    },
    Mutant {
        name: "send every progress report at once",
        promise: "P7",
        file: "jobs-agent-core/src/poll.rs",
        from: "report = report.min(timers[at::REPORT]);",
        to: "report = Timer::NOW;",
        test: ("promises", "reports_over_a_minute_keep_their_distance"),
    },
    Mutant {
        name: "ask for the next job although a notification told it",
        promise: "P8",
        file: "jobs-agent-core/src/queue.rs",
        from: "        self.timers[when::SETTLE] = Timer::NEVER;\n",
        to: "        let settle = &mut self.timers[when::SETTLE];\n        \
             *settle = (*settle).max(Timer::after(1_000));\n",
        test: (
            "promises",
            "a_happy_job_costs_two_publishes_and_no_subscribe",
        ),
    },
    Mutant {
        name: "match a reply without its token",
        promise: "P9",
        file: "jobs-agent-core/src/token.rs",
        from: "echoed.is_some_and(|echoed| echoed.eq_str(&text(entropy, counter)))",
        to: "echoed.is_some_and(|echoed| echoed.eq_str(&text(entropy, counter)) || entropy != 0)",
        test: ("promises", "an_old_reply_does_not_answer_for_a_lost_report"),
    },
    Mutant {
        name: "start before the record is durable (explored)",
        promise: "P1",
        file: "jobs-agent-core/src/emit.rs",
        from: "                slot.stored = true;\n",
        to: "                slot.stored = true;\n                \
             if slot.phase == crate::Phase::Opening {\n                    \
             slot.step(crate::Event::Persisted);\n                    \
             slot.start_run(crate::RunId(sequence));\n                }\n",
        test: ("explore", "two_jobs_in_one_slot_with_any_fault"),
    },
    Mutant {
        name: "match a reply without its token (explored)",
        promise: "P9",
        file: "jobs-agent-core/src/token.rs",
        from: "echoed.is_some_and(|echoed| echoed.eq_str(&text(entropy, counter)))",
        to: "echoed.is_some_and(|echoed| echoed.eq_str(&text(entropy, counter)) || entropy != 0)",
        test: ("explore", "one_job_with_any_two_faults"),
    },
];

/// Plays every mutant; a line for each, for the table of `cargo xtask verify`.
///
/// # Errors
/// The mutants that no test noticed, or that do not build any more.
pub(crate) fn all() -> Result<Vec<String>, String> {
    println!("\n== mutants of the promises");
    let copy = target().join("mutants/tree");
    copy_tree(&copy)?;
    let (mut caught, mut survivors) = (Vec::new(), Vec::new());
    for mutant in &MUTANTS {
        match play(mutant, &copy) {
            Ok(()) => {
                let line = format!("{} {}: {}", mutant.promise, mutant.name, mutant.test.1);
                println!("caught   {line}");
                caught.push(line);
            }
            Err(why) => {
                println!("SURVIVED {} {}: {why}", mutant.promise, mutant.name);
                survivors.push(mutant.name);
            }
        }
    }
    for promise in PROMISES {
        if !MUTANTS.iter().any(|mutant| mutant.promise == promise) {
            survivors.push(promise);
        }
    }
    if survivors.is_empty() {
        println!(
            "== {} mutants, all caught by their named tests",
            caught.len()
        );
        Ok(caught)
    } else {
        let missed = survivors.join("; ");
        Err(format!(
            "mutants not caught, or promises without one: {missed}"
        ))
    }
}

fn play(mutant: &Mutant, copy: &Path) -> Result<(), String> {
    let path = copy.join(mutant.file);
    let original =
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", mutant.file))?;
    if original.matches(mutant.from).count() != 1 {
        return Err(format!(
            "{} changed: the text to mutate is not there once",
            mutant.file
        ));
    }
    let write = |text: &str| fs::write(&path, text).map_err(|error| error.to_string());
    write(&original.replace(mutant.from, mutant.to))?;
    let (tests, name) = mutant.test;
    let args = [
        "test",
        // Built once and run briefly: optimising would cost more than it saves.
        "--config",
        "profile.dev.package.jobs-agent-core.opt-level=0",
        "--config",
        "profile.dev.package.jobs-testkit.opt-level=0",
        "-p",
        "jobs-testkit",
        "--test",
        tests,
        "--",
        "--exact",
        name,
    ];
    let mut test = cargo(&args);
    test.current_dir(copy)
        .env("CARGO_TARGET_DIR", target().join("mutants/target"));
    let output = captured(&mut test);
    write(&original)?;
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains(&format!("test {name} ... FAILED")) {
        return Ok(());
    }
    if text.contains(&format!("test {name} ... ok")) {
        return Err(format!("{name} passed"));
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let first = errors
        .lines()
        .find(|line| line.starts_with("error"))
        .unwrap_or("no such test");
    Err(format!("did not run: {first}"))
}

/// Copies what git knows, so that the work tree is never touched.
fn copy_tree(copy: &Path) -> Result<(), String> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let files = captured(&mut command("git", &args))?;
    for name in String::from_utf8_lossy(&files.stdout).lines() {
        let (from, to) = (root().join(name), copy.join(name));
        if !from.is_file() {
            continue;
        }
        let fresh = fs::read(&from).map_err(|error| format!("{name}: {error}"))?;
        // An unchanged file keeps its time, so that nothing is built twice.
        if fs::read(&to).is_ok_and(|old| old == fresh) {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        fs::write(&to, fresh).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}
