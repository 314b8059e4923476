//! Every call of the core as a function of its own, so that its frames can be summed, and the
//! sizes of its types as the sizes of symbols. `cargo xtask bench --stack` reads the linked image.
#![no_std]
#![no_main]
#![allow(
    unsafe_code,
    reason = "the entry point and the symbols need unmangled names"
)]

use core::hint::black_box;
use core::panic::PanicInfo;

use jobs_agent_core::{
    Agent, Boot, BootId, Checkpoint, Completion, Config, Handled, Millis, Offer, OperationTag,
    Outcome, Output, Progress, Record, RecordError, RunId, RunPermit, RunPolicy, Scratch, Stale,
    Ticket,
};
use jobs_proto::ThingName;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

type One = Agent<'static, 1>;

/// A symbol that is as long as a type.
macro_rules! sizes {
    ($($name:ident: $type:ty,)*) => {
        $(
            #[unsafe(no_mangle)]
            #[used]
            static $name: [u8; size_of::<$type>()] = [0; size_of::<$type>()];
        )*
    };
}

sizes! {
    SIZE_OF_AGENT_1: Agent<'static, 1>,
    SIZE_OF_AGENT_4: Agent<'static, 4>,
    SIZE_OF_CONFIG: Config<'static>,
    SIZE_OF_SCRATCH: Scratch,
    SIZE_OF_OUTPUT: Output<'static>,
    SIZE_OF_RUN_PERMIT: RunPermit<'static>,
    SIZE_OF_HANDLED: Handled<'static>,
    SIZE_OF_OFFER: Offer<'static>,
    SIZE_OF_RECORD: Record,
    SIZE_OF_CHECKPOINT: Checkpoint,
    SIZE_OF_PROGRESS: Progress,
    SIZE_OF_OUTCOME: Outcome,
    SIZE_OF_EXECUTION_MESSAGE: jobs_proto::decode::ExecutionMessage<'static>,
    SIZE_OF_UPDATE: jobs_proto::encode::Update<'static>,
}

#[unsafe(no_mangle)]
#[inline(never)]
fn stack_poll<'s>(agent: &mut One, now: Millis, scratch: &'s mut Scratch) -> Output<'s> {
    agent.poll(now, scratch)
}

#[unsafe(no_mangle)]
#[inline(never)]
fn stack_handle_publish<'b>(
    agent: &mut One,
    now: Millis,
    topic: &'b str,
    payload: &'b [u8],
) -> Handled<'b> {
    agent.handle_publish(now, topic, payload)
}

#[unsafe(no_mangle)]
#[inline(never)]
fn stack_handle_plan(agent: &mut One, now: Millis, ticket: Ticket) {
    let verdict = Ok((OperationTag(black_box(1)), black_box(RunPolicy::DEFAULT)));
    agent.handle_plan(now, ticket, verdict);
}

#[unsafe(no_mangle)]
#[inline(never)]
fn stack_handle_outcome(agent: &mut One, now: Millis, run: RunId, outcome: &Outcome) {
    agent.handle_outcome(now, 0, run, outcome);
}

#[unsafe(no_mangle)]
#[inline(never)]
fn stack_handle_aborted(agent: &mut One, now: Millis, run: RunId, reason: &str) {
    agent.handle_aborted(now, 0, run, reason);
}

#[unsafe(no_mangle)]
#[inline(never)]
fn stack_handle_checkpoint(
    agent: &mut One,
    now: Millis,
    run: RunId,
    checkpoint: &Checkpoint,
) -> Result<(), Stale> {
    agent.handle_checkpoint(now, 0, run, checkpoint)
}

#[unsafe(no_mangle)]
#[inline(never)]
fn stack_handle_progress(agent: &mut One, run: RunId, progress: &Progress) {
    agent.handle_progress(0, run, progress);
}

#[unsafe(no_mangle)]
#[inline(never)]
fn stack_restore(agent: &mut One, record: &[u8]) -> Result<(), RecordError> {
    agent.restore(0, record)
}

#[unsafe(no_mangle)]
#[inline(never)]
fn stack_connection(agent: &mut One, now: Millis) {
    agent.handle_connected(now);
    agent.handle_disconnected(now);
}

/// Values that the compiler knows nothing about.
#[inline(never)]
fn bytes() -> &'static [u8] {
    black_box(&[])
}

#[inline(never)]
fn text() -> &'static str {
    black_box("")
}

/// Calls everything once, so that the linker keeps it.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    const THING: ThingName<'_> = match ThingName::new("thing") {
        Ok(thing) => thing,
        Err(_) => panic!(),
    };
    static CONFIG: Config<'static> = Config::new(THING);
    let boot = Boot {
        id: BootId(black_box([0; 16])),
        entropy: black_box(0),
    };
    let mut agent: One = Agent::new(black_box(&CONFIG), boot);
    let mut scratch = Scratch::new();
    let now = Millis(black_box(0));
    let _ = black_box(stack_restore(&mut agent, bytes()));
    let mut run = RunId::default();
    loop {
        stack_connection(&mut agent, now);
        if let Handled::Offer(ticket, offer) =
            black_box(stack_handle_publish(&mut agent, now, text(), bytes()))
        {
            black_box(&offer);
            stack_handle_plan(&mut agent, now, ticket);
        }
        match black_box(stack_poll(&mut agent, now, &mut scratch)) {
            Output::Run(permit) => run = permit.run(),
            Output::Persist { receipt, .. } | Output::Transmit { receipt, .. } => {
                agent.handle_done(now, receipt, black_box(Completion::Done));
            }
            _ => {}
        }
        stack_handle_progress(&mut agent, run, black_box(&Progress::percent(1)));
        if let Ok(checkpoint) = Checkpoint::new(bytes()) {
            let _ = black_box(stack_handle_checkpoint(&mut agent, now, run, &checkpoint));
        }
        stack_handle_outcome(&mut agent, now, run, black_box(&Outcome::succeeded()));
        stack_handle_aborted(&mut agent, now, run, text());
    }
}
