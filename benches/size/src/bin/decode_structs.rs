//! All messages, as structs.
#![no_std]
#![no_main]

size::image!({
    size::proto::decode_structs();
});
