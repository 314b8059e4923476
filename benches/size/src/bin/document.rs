//! Looking into a job document, with nothing else to share the scanner with.
#![no_std]
#![no_main]

size::image!({
    size::proto::document();
});
