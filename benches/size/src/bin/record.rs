//! The stored record, both ways.
#![no_std]
#![no_main]

size::image!({
    size::agent::record();
});
