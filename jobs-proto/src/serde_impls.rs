//! `Serialize` and `Deserialize` for the values that have a form of their own on the wire.

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ClientToken, EpochSeconds, ErrorCode, JobId, JobStatus, ThingName, UpdateStatus};

macro_rules! borrowed_text {
    ($($name:ident: $expected:literal),+) => {$(
        impl Serialize for $name<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <&str>::deserialize(deserializer)?;
                Self::new(text)
                    .map_err(|_| D::Error::invalid_value(Unexpected::Str(text), &$expected))
            }
        }
    )+};
}

borrowed_text! {
    JobId: "a job id",
    ThingName: "a thing name",
    ClientToken: "a client token"
}

macro_rules! name {
    ($($name:ident: $parse:expr, $expected:literal);+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <&str>::deserialize(deserializer)?;
                $parse(text)
                    .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(text), &$expected))
            }
        }
    )+};
}

name! {
    JobStatus: JobStatus::parse, "a state of a job execution";
    UpdateStatus: |text| UpdateStatus::ALL.into_iter().find(|status| status.as_str() == text),
        "a state that a device may report";
    ErrorCode: |text| Some(ErrorCode::parse(text)), "an error code"
}

impl Serialize for EpochSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for EpochSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}
