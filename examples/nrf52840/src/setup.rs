//! Who this device is: from the environment of the build, as README.md says.

/// Name of the thing, and MQTT client id.
pub(crate) const THING: &str = given(option_env!("THING_NAME"), "nrf52840-dk");
/// Host name or address of the broker.
pub(crate) const BROKER: &str = given(option_env!("BROKER_HOST"), "192.168.1.2");
/// TCP port of the broker.
pub(crate) const PORT: u16 = port(given(option_env!("BROKER_PORT"), "1883"));
const fn given(value: Option<&'static str>, otherwise: &'static str) -> &'static str {
    match value {
        Some(value) => value,
        None => otherwise,
    }
}

/// A mistake does not build.
const fn port(text: &str) -> u16 {
    match u16::from_str_radix(text, 10) {
        Ok(port) => port,
        Err(_) => panic!("BROKER_PORT is no port"),
    }
}
