//! An agent for four jobs.
#![no_std]
#![no_main]

size::image!({
    size::agent::drive::<4>();
});
