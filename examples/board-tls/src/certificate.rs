//! One X.509 certificate, as far as a TLS client must read it.

use der::{
    Decode, FixedTag, Reader, SliceReader, Tag, TagNumber,
    asn1::{AnyRef, BitStringRef, GeneralizedTime, UtcTime},
};

use crate::{
    PublicKey, Refusal,
    extensions::{Extensions, nested, only},
    key::Hash,
};

/// The version number of X.509 v3, the only one with extensions.
const V3: u8 = 2;

const fn explicit(number: TagNumber) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number,
    }
}

/// The time at which dates are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// Seconds since 1970-01-01 00:00 UTC, from a source that the network cannot turn back.
    UnixSeconds(u64),
    /// The device does not know the time: dates are *not* checked, and a certificate whose key was
    /// stolen stays good for ever.
    NoClock,
}

/// A certificate, borrowed from the record in which it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Certificate<'a> {
    /// What is signed.
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    pub(crate) issuer: &'a [u8],
    pub(crate) subject: &'a [u8],
    not_before_s: u64,
    not_after_s: u64,
    key_info: &'a [u8],
    pub(crate) extensions: Extensions<'a>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate without judging it.
    pub(crate) fn from_der(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut outer = only(bytes, Tag::Sequence)?;
        let signed = outer.tlv_bytes()?;
        let algorithm = outer.tlv_bytes()?;
        let signature = BitStringRef::decode(&mut outer)?;
        outer.finish(())?;

        let mut inner = only(signed, Tag::Sequence)?;
        let version = version(&mut inner)?;
        // The serial number matters only for revocation.
        nested(&mut inner, Tag::Integer)?;
        // The algorithm is there twice, once of them signed.
        if inner.tlv_bytes()? != algorithm {
            return Err(Refusal::Malformed);
        }
        let issuer = inner.tlv_bytes()?;
        let mut validity = nested(&mut inner, Tag::Sequence)?;
        let not_before_s = seconds(&mut validity)?;
        let not_after_s = seconds(&mut validity)?;
        validity.finish(())?;
        let subject = inner.tlv_bytes()?;
        let key_info = inner.tlv_bytes()?;
        let extensions = extensions(&mut inner, version)?;
        inner.finish(())?;
        Ok(Self {
            signed,
            algorithm,
            signature: signature.as_bytes().ok_or(Refusal::Malformed)?,
            issuer,
            subject,
            not_before_s,
            not_after_s,
            key_info,
            extensions,
        })
    }

    pub(crate) fn key(&self) -> Result<PublicKey, Refusal> {
        PublicKey::from_info(self.key_info)
    }

    pub(crate) const fn check_dates(&self, now: Now) -> Result<(), Refusal> {
        match now {
            Now::NoClock => Ok(()),
            Now::UnixSeconds(now) if now < self.not_before_s => Err(Refusal::NotYetValid),
            Now::UnixSeconds(now) if now > self.not_after_s => Err(Refusal::Expired),
            Now::UnixSeconds(_) => Ok(()),
        }
    }

    pub(crate) fn check_signed_by(&self, key: &PublicKey) -> Result<(), Refusal> {
        let hash = Hash::from_algorithm(self.algorithm)?;
        key.check(hash, self.signed, self.signature)
    }
}

fn version(inner: &mut SliceReader<'_>) -> Result<u8, Refusal> {
    if inner.peek_tag()? != explicit(TagNumber::N0) {
        return Ok(0);
    }
    let mut reader = nested(inner, explicit(TagNumber::N0))?;
    let version = u8::decode(&mut reader)?;
    Ok(reader.finish(version)?)
}

fn seconds(validity: &mut SliceReader<'_>) -> Result<u64, Refusal> {
    let time = match validity.peek_tag()? {
        UtcTime::TAG => UtcTime::decode(validity)?.to_unix_duration(),
        _ => GeneralizedTime::decode(validity)?.to_unix_duration(),
    };
    Ok(time.as_secs())
}

fn extensions<'a>(inner: &mut SliceReader<'a>, version: u8) -> Result<Extensions<'a>, Refusal> {
    // issuerUniqueID and subjectUniqueID, which nobody uses.
    for number in [TagNumber::N1, TagNumber::N2] {
        let tag = Tag::ContextSpecific {
            constructed: false,
            number,
        };
        if !inner.is_finished() && inner.peek_tag()? == tag {
            AnyRef::decode(inner)?;
        }
    }
    if inner.is_finished() {
        return Ok(Extensions::default());
    }
    if version != V3 {
        return Err(Refusal::Malformed);
    }
    let mut outer = nested(inner, explicit(TagNumber::N3))?;
    let list = AnyRef::decode(&mut outer)?;
    der::Tagged::tag(&list).assert_eq(Tag::Sequence)?;
    outer.finish(())?;
    Extensions::read(list.value())
}
