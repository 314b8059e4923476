//! All topics, messages and requests.
#![no_std]
#![no_main]

size::image!({
    size::proto::topics();
    size::proto::decode_all();
    size::proto::encode_all();
});
