//! The message with which a job comes.
#![no_std]
#![no_main]

size::image!({
    size::proto::decode_execution();
});
