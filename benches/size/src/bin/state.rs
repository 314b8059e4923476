//! What the agent takes of RAM. Nobody weighs this image: the lengths of its symbols are read.
#![no_std]
#![no_main]

use core::{hint::black_box, mem::size_of};

use jobs_agent_core::{
    Agent, BODY_LEN_MAX, Checkpoint, Config, Details, Offer, Output, PROGRESS_LEN_MAX, Progress,
    Scratch,
};

macro_rules! states {
    ($($name:ident: $len:expr,)*) => {
        $(
            #[unsafe(no_mangle)]
            static $name: [u8; $len] = [0; $len];
        )*
        size::image!({
            $(black_box(&$name);)*
        });
    };
}

states! {
    STATE_AGENT_JOBS1: size_of::<Agent<'static, 1>>(),
    STATE_AGENT_JOBS4: size_of::<Agent<'static, 4>>(),
    // The handler's bytes in each slot of an agent.
    STATE_BODIES: BODY_LEN_MAX + PROGRESS_LEN_MAX,
    STATE_SCRATCH: size_of::<Scratch>(),
    STATE_CONFIG: size_of::<Config<'static>>(),
    STATE_OUTPUT: size_of::<Output<'static>>(),
    STATE_OFFER: size_of::<Offer<'static>>(),
    STATE_CHECKPOINT: size_of::<Checkpoint>(),
    STATE_DETAILS: size_of::<Details>(),
    STATE_PROGRESS: size_of::<Progress>(),
}
