//! All messages of the service.
#![no_std]
#![no_main]

size::image!({
    size::proto::decode_all();
});
