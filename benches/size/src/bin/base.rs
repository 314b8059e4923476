//! Nothing: what every image has.
#![no_std]
#![no_main]

size::image!({
    size::keep((size::bytes(), size::text(), size::buffer(), size::number()));
    size::keep(size::thing());
});
