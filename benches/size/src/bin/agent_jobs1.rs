//! An agent for one job, with the whole protocol that it uses.
#![no_std]
#![no_main]

size::image!({
    size::agent::drive::<1>();
});
