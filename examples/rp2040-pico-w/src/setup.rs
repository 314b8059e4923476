//! Who this device is: from the environment of the build, as README.md says.

/// Name of the thing, and MQTT client id.
pub(crate) const THING: &str = given(option_env!("THING_NAME"), "pico-w");
/// Host name or address of the broker.
pub(crate) const BROKER: &str = given(option_env!("BROKER_HOST"), "192.168.1.2");
/// The name that the broker must prove; usually the same.
pub(crate) const BROKER_NAME: &str = given(option_env!("BROKER_NAME"), BROKER);
/// TCP port of the broker.
pub(crate) const PORT: u16 = port(given(option_env!("BROKER_PORT"), "8883"));
/// Name of the Wi-Fi network.
pub(crate) const SSID: &str = given(option_env!("WIFI_SSID"), "");
/// Its WPA2 or WPA3 passphrase; empty for an open network.
pub(crate) const PASSPHRASE: &str = given(option_env!("WIFI_PASSPHRASE"), "");

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
