//! All requests of a device.
#![no_std]
#![no_main]

size::image!({
    size::proto::encode_all();
});
