//! All topics.
#![no_std]
#![no_main]

size::image!({
    size::proto::topics();
});
