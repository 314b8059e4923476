//! Makes a move: one input, then the agent's effects until it waits.

use std::rc::Rc;

use jobs_agent_core::{Completion, Millis, OperationTag, Output, RunPermit, Scratch};
use jobs_emulator::model::{Fault, Message};

use super::{Down, Fate, Letter, ModelWorld, Move, THING, What, setup::operate};
use crate::{
    board::{Restart, Write},
    words::in_words,
};

/// More effects than any input leads to.
const EFFECTS_MAX: u8 = 200;

impl<const JOBS: usize> ModelWorld<'_, JOBS> {
    pub(super) fn play(&mut self, chosen: Move) {
        self.observer.forget_counts();
        self.effects = 0;
        self.input(chosen.what);
        self.drain(chosen.cut);
    }

    fn input(&mut self, what: What) {
        let now = Millis(self.now_ms);
        match what {
            What::Connect => {
                self.connected = true;
                self.board.agent.handle_connected(now);
            }
            What::Operate => {
                let operator = &self.setup.operator[self.operated];
                self.operated += 1;
                let service = Rc::make_mut(&mut self.service);
                let sent = operate(service, self.service_ms, operator);
                self.send_down(&sent.unwrap_or_default());
            }
            What::Up(fate) => {
                if let Some(letter) = self.up.pop_front() {
                    self.meet(fate, letter, true);
                }
            }
            What::Down(fate) => {
                if let Some(letter) = self.down.pop_front() {
                    self.meet(fate, letter, false);
                }
            }
            What::LateUp(at) => {
                let letter = self.late_up.remove(usize::from(at));
                self.serve(&letter);
            }
            What::LateDown(at) => {
                let letter = self.late_down.remove(usize::from(at));
                self.receive(&letter);
            }
            What::Written(at, done) => self.written(usize::from(at), done),
            What::Step(slot) => {
                let scripts = &self.setup.scripts;
                let _ = self
                    .board
                    .step_slot(slot, self.now_ms, scripts, &mut self.observer);
            }
            What::AgentTimer => self.now_ms = self.now_ms.max(self.wake_ms.unwrap_or(0)),
            What::ServiceTimer => {
                let at = self.service.next_deadline_ms().unwrap_or(0);
                self.service_ms = self.service_ms.max(at);
                let sent = Rc::make_mut(&mut self.service).advance(self.service_ms);
                self.send_down(&sent);
            }
            What::Cut(kept) => {
                self.left.all -= 1;
                self.left.cuts -= 1;
                self.disconnect(kept);
                self.board.agent.handle_disconnected(now);
            }
            What::Crash(down) => self.crash(down),
        }
    }

    fn meet(&mut self, fate: Fate, letter: Rc<Letter>, up: bool) {
        let left = &mut self.left;
        let kind = match fate {
            Fate::Arrives => None,
            Fate::Lost => Some(&mut left.drops),
            Fate::Repeated => Some(&mut left.duplicates),
            Fate::Late => Some(&mut left.delays),
            Fate::Refused => Some(&mut left.refusals),
        };
        if let Some(kind) = kind {
            *kind -= 1;
            left.all -= 1;
        }
        if matches!(fate, Fate::Repeated | Fate::Late) {
            let late = if up {
                &mut self.late_up
            } else {
                &mut self.late_down
            };
            late.push(letter.clone());
        }
        if fate == Fate::Refused {
            let fault = Fault::InternalError { requests: 1 };
            Rc::make_mut(&mut self.service).set_fault(fault);
        }
        if matches!(fate, Fate::Arrives | Fate::Repeated | Fate::Refused) {
            if up {
                self.serve(&letter);
            } else {
                self.receive(&letter);
            }
        }
    }

    fn serve(&mut self, letter: &Letter) {
        let service = Rc::make_mut(&mut self.service);
        let sent = service.publish(self.service_ms, &letter.topic, &letter.payload);
        self.send_down(&sent);
    }

    fn receive(&mut self, letter: &Letter) {
        let now = Millis(self.now_ms);
        let scripts = &self.setup.scripts;
        let _ = self
            .board
            .receive(now, &letter.topic, &letter.payload, scripts);
    }

    fn send_down(&mut self, messages: &[Message]) {
        for message in messages {
            if let Some(log) = &mut self.log {
                log.push(format!(
                    "service: {} {}",
                    message.topic,
                    String::from_utf8_lossy(&message.payload)
                ));
            }
            if self.connected {
                let letter = Letter::new(&message.topic, &message.payload);
                self.down.push_back(Rc::new(letter));
            }
        }
    }

    fn written(&mut self, at: usize, done: bool) {
        let Some((_, write)) = self.board.pending.remove(at) else {
            return;
        };
        let completion = if done {
            self.keep(&write);
            Completion::Done
        } else {
            self.left.all -= 1;
            self.left.write_failures -= 1;
            Completion::Failed
        };
        let now = Millis(self.now_ms);
        self.board.agent.handle_done(now, write.receipt, completion);
    }

    fn keep(&mut self, write: &Write) {
        match &write.record {
            Some(record) => self.board.store.persist(write.slot, record),
            None => self.board.store.erase(write.slot),
        }
    }

    fn disconnect(&mut self, kept: bool) {
        self.connected = false;
        if !kept {
            self.up.clear();
            self.down.clear();
        }
    }

    fn crash(&mut self, down: Down) {
        self.left.all -= 1;
        self.left.crashes -= 1;
        self.crashes += 1;
        for (at, (_, write)) in self.board.pending.clone().iter().enumerate() {
            if down.writes_done & (1 << at) != 0 {
                self.keep(write);
            }
        }
        self.disconnect(down.network_kept);
        self.come_back(down.restart);
    }

    fn come_back(&mut self, restart: Restart) {
        self.board.restart(restart);
        self.board.agent.calm_jitter();
    }

    /// Performs effects until the agent waits, or the device goes down after some of them.
    fn drain(&mut self, mut cut: Option<(u8, Down)>) {
        let mut scratch = Scratch::new();
        loop {
            let output = self.board.agent.poll(Millis(self.now_ms), &mut scratch);
            if let Output::Wait(until) = output {
                self.wake_ms = until.map(|until| until.0);
                return;
            }
            if self.effects >= EFFECTS_MAX {
                return self.observer.violation("P6: the agent never waits".into());
            }
            if let Some((_, down)) = cut.take_if(|(after, _)| *after == self.effects) {
                self.crash(down);
                continue;
            }
            self.effects += 1;
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output<'_>) {
        let now = Millis(self.now_ms);
        if let Some(log) = &mut self.log {
            log.push(format!("agent: {}", in_words(&output)));
        }
        match output {
            Output::Persist {
                receipt,
                slot,
                record,
            } => {
                let record = Some(record.to_vec());
                self.begin(Write {
                    receipt,
                    slot,
                    record,
                });
            }
            Output::Erase { receipt, slot } => {
                self.observer
                    .check_erase(slot, &self.board.store, &self.service, THING);
                let record = None;
                self.begin(Write {
                    receipt,
                    slot,
                    record,
                });
            }
            Output::Transmit {
                receipt,
                topic,
                payload,
                ..
            } => {
                let boot = self.board.boot();
                self.observer.check_transmit(
                    topic,
                    payload,
                    &self.board.store,
                    boot,
                    (&self.service, THING),
                );
                self.up.push_back(Rc::new(Letter::new(topic, payload)));
                self.board.agent.handle_done(now, receipt, Completion::Done);
            }
            Output::Subscribe { receipt, .. } => {
                self.board.agent.handle_done(now, receipt, Completion::Done);
            }
            Output::Run(permit) => self.run(permit),
            Output::Saved { slot, run } => self.board.saved(slot, run),
            Output::Stop { slot, run, reason } => self.board.stop(slot, run, reason),
            Output::Reboot(permit) => {
                let boot = self.board.boot();
                self.observer
                    .check_reboot(permit.slot(), &self.board.store, boot);
                if !self.board.pending.is_empty() {
                    self.observer
                        .violation("P4: reset with a write under way".into());
                }
                self.disconnect(true);
                self.come_back(Restart::Reboot);
            }
            Output::Ended { job_id, ending, .. } => self.observer.ended(job_id.as_str(), ending),
            Output::Wait(_) => {}
        }
    }

    fn begin(&mut self, write: Write) {
        if self.board.pending.iter().any(|(_, w)| w.slot == write.slot) {
            let text = format!("two writes of slot {} at a time", write.slot);
            self.observer.violation(text);
        }
        self.board.pending.push_back((self.now_ms, write));
    }

    fn run(&mut self, permit: RunPermit<'_>) {
        let scripts = &self.setup.scripts;
        let operation = scripts
            .iter()
            .find(|(name, _)| OperationTag::of(name) == permit.tag());
        let instant = operation.is_some_and(|(_, script)| script.policy.instant);
        self.observer.check_run(
            &permit,
            instant,
            &self.board.store,
            &self.service,
            THING,
            &self.board.jobs_running(),
        );
        let job = permit.job_id().as_str().to_string();
        let number = permit.execution_number().unwrap_or_default();
        if !instant {
            let runs = self.fresh.entry((job.clone(), number)).or_default();
            *runs += 1;
            // Each crash may repeat a run, and each reset leads to one.
            let most = 1 + self.crashes + self.board.resets();
            if *runs > most {
                let text = format!("P1: {job} runs {runs} times after {} crashes", self.crashes);
                self.observer.violation(text);
            }
        }
        if let Err(text) = self.board.start(permit, scripts) {
            self.observer.violation(text);
        }
    }

    pub(super) fn describe(&self, chosen: Move) -> String {
        let letter = match chosen.what {
            What::Up(_) => self.up.front(),
            What::Down(_) => self.down.front(),
            What::LateUp(at) => self.late_up.get(usize::from(at)),
            What::LateDown(at) => self.late_down.get(usize::from(at)),
            What::Connect
            | What::Operate
            | What::Written(..)
            | What::Step(_)
            | What::AgentTimer
            | What::ServiceTimer
            | What::Cut(_)
            | What::Crash(_) => None,
        };
        let mut text = format!("{:?}", chosen.what);
        if let Some(letter) = letter {
            let payload = String::from_utf8_lossy(&letter.payload);
            text = format!("{text}: {} {payload}", letter.topic);
        }
        if chosen.what == What::Operate {
            text = format!("{text}: {:?}", self.setup.operator[self.operated]);
        }
        match chosen.cut {
            Some((after, down)) => format!("{text}, cut after effect {after}: {down:?}"),
            None => text,
        }
    }
}
