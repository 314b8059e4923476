//! `cargo xtask mutants`: breaks each promise in a copy of the core; the named test must fail.
//!
//! A test that cannot fail proves nothing. Each mutant here is one small, plausible mistake, and
//! names the test that has to catch it.

mod every;
mod play;

pub(crate) use every::every;
pub(crate) use play::all;

/// A test target of the core; all others here are of the testkit.
const AGENT: &str = "agent";

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
    /// Test target of `jobs-testkit` or the core, and the test in it.
    test: (&'static str, &'static str),
}

/// The promises (`ARCHITECTURE.md`), each of which must have been seen to fail.
const PROMISES: [(&str, &str); 9] = [
    (
        "P1",
        "work begins only when durable here and confirmed there, once",
    ),
    (
        "P2",
        "an outcome is durable before it is sent, and kept until answered",
    ),
    (
        "P3",
        "a cut anywhere leads to a defined state, attempts are bounded",
    ),
    (
        "P4",
        "what needs a reboot succeeds only in the boot after it",
    ),
    (
        "P5",
        "a cancel reaches the handler, foreign jobs are not touched",
    ),
    ("P6", "no input is fatal, and no job blocks the queue"),
    ("P7", "progress is rate-limited, and its loss harms nothing"),
    ("P8", "a happy job costs two publishes"),
    ("P9", "a reply counts only by its token"),
];

const MUTANTS: [Mutant; 21] = [
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
        from: "        let event = match kind {",
        to: "        let exhausted = exhausted && false;\n        let event = match kind {",
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
        from: "let other_boot = !self.header.is_of(boot);",
        to: "let other_boot = !self.header.is_of(boot) || self.header.is_of(boot);",
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
        from: "        self.verify_all_but(on)\n",
        to: "        self.slots.each(|slot| {\n            \
             if slot.is_claimed() && on & bit(slot) == 0 {\n                \
             slot.over(crate::StopReason::Over, crate::Ending::AlreadyOver);\n            \
             }\n        });\n        Meaning::Taken\n",
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
    Mutant {
        name: "wait for a document that does not fit",
        promise: "P6",
        file: "jobs-agent-core/src/silence.rs",
        from: "        self.row == WITH_DOCUMENT_MAX\n",
        to: "        self.row > LAST\n",
        test: (
            AGENT,
            "large::a_document_that_never_comes_though_the_service_answers_is_refused",
        ),
    },
    Mutant {
        name: "take lost replies for a document that does not fit",
        promise: "P6",
        file: "jobs-agent-core/src/silence.rs",
        from: "        self.row == LAST\n",
        to: "        self.row >= WITH_DOCUMENT_MAX\n",
        test: (
            AGENT,
            "large::a_service_that_answers_nothing_at_all_is_no_sign_of_a_large_document",
        ),
    },
    Mutant {
        name: "refuse a document over a cut of the connection",
        promise: "P6",
        file: "jobs-agent-core/src/silence.rs",
        from: "        if self.row == LAST {\n            self.row = WITH_DOCUMENT_MAX;\n        }\n",
        to: "",
        test: (
            AGENT,
            "large::the_last_question_proves_nothing_over_a_cut_of_the_connection",
        ),
    },
    Mutant {
        name: "count a question that did not leave",
        promise: "P6",
        file: "jobs-agent-core/src/silence.rs",
        from: "        self.unsent = true;\n",
        to: "",
        test: (
            AGENT,
            "large::a_last_question_that_did_not_leave_proves_nothing",
        ),
    },
    Mutant {
        name: "refuse a document of a service in trouble",
        promise: "P6",
        file: "jobs-agent-core/src/refused.rs",
        from: "        slot.work.silence = Silence::NONE;\n",
        to: "",
        test: (
            AGENT,
            "large::a_service_in_trouble_at_the_last_question_begins_the_row_anew",
        ),
    },
];
