//! The extensions of a certificate that decide something here.

use der::{
    Decode, FixedTag, Reader, SliceReader, Tag, TagNumber,
    asn1::{AnyRef, BitStringRef, OctetStringRef},
    oid::ObjectIdentifier,
};

use crate::{HostName, Refusal};

/// Most extensions that one certificate may carry; public CAs use about ten.
pub const EXTENSIONS_MAX: usize = 32;

/// Most alternative names that one certificate may carry; public CAs allow about a hundred.
pub const ALT_NAMES_MAX: usize = 128;

const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const ALT_NAMES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// Bits of the first byte of a keyUsage (RFC 5280, 4.2.1.3; bit 0 is the highest).
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_CERT_SIGN: u8 = 0x04;

/// `[2] IMPLICIT IA5String`, a `dNSName` among alternative names.
const DNS_NAME: Tag = Tag::ContextSpecific {
    constructed: false,
    number: TagNumber::N2,
};

/// What the extensions of one certificate say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extensions<'a> {
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<u8>,
    serves_tls: Option<bool>,
    alt_names: Option<&'a [u8]>,
}

#[derive(Debug, Clone, Copy)]
struct BasicConstraints {
    ca: bool,
    path_len: Option<u32>,
}

impl<'a> Extensions<'a> {
    /// Reads the content of a SEQUENCE OF Extension.
    pub(crate) fn read(content: &'a [u8]) -> Result<Self, Refusal> {
        let mut extensions = Self::default();
        let mut reader = SliceReader::new(content)?;
        for _ in 0..EXTENSIONS_MAX {
            if reader.is_finished() {
                return Ok(extensions);
            }
            let mut one = nested(&mut reader, Tag::Sequence)?;
            let id = ObjectIdentifier::decode(&mut one)?;
            let critical = if one.peek_tag()? == bool::TAG {
                bool::decode(&mut one)?
            } else {
                false
            };
            let value = OctetStringRef::decode(&mut one)?.as_bytes();
            one.finish(())?;
            extensions.take(id, critical, value)?;
        }
        if reader.is_finished() {
            Ok(extensions)
        } else {
            Err(Refusal::TooMany)
        }
    }

    fn take(
        &mut self,
        id: ObjectIdentifier,
        critical: bool,
        value: &'a [u8],
    ) -> Result<(), Refusal> {
        match id {
            BASIC_CONSTRAINTS => set(&mut self.basic_constraints, basic_constraints(value)?),
            KEY_USAGE => set(&mut self.key_usage, key_usage(value)?),
            EXTENDED_KEY_USAGE => set(&mut self.serves_tls, serves_tls(value)?),
            ALT_NAMES => set(&mut self.alt_names, value),
            // Not understood, and to ignore a constraint would widen what the CA has allowed.
            NAME_CONSTRAINTS => Err(Refusal::UnknownExtension),
            _ if critical => Err(Refusal::UnknownExtension),
            _ => Ok(()),
        }
    }

    /// May its holder issue certificates, with `intermediates` others between them and a server's?
    pub(crate) fn check_issuer(&self, intermediates: u32) -> Result<(), Refusal> {
        let signs = self.key_usage.is_some_and(|bits| bits & KEY_CERT_SIGN != 0);
        let constraints = self
            .basic_constraints
            .filter(|constraints| constraints.ca && signs);
        let constraints = constraints.ok_or(Refusal::NotAnIssuer)?;
        if constraints
            .path_len
            .is_some_and(|most| intermediates > most)
        {
            return Err(Refusal::PathLength);
        }
        if self.serves_tls == Some(false) {
            return Err(Refusal::WrongUsage);
        }
        Ok(())
    }

    /// May its holder be a TLS 1.3 server of that name?
    pub(crate) fn check_server(&self, host: HostName<'_>) -> Result<(), Refusal> {
        if self
            .basic_constraints
            .is_some_and(|constraints| constraints.ca)
        {
            return Err(Refusal::ServerIsCa);
        }
        let signs = self
            .key_usage
            .is_none_or(|bits| bits & DIGITAL_SIGNATURE != 0);
        if !signs || self.serves_tls == Some(false) {
            return Err(Refusal::WrongUsage);
        }
        let names = self.alt_names.ok_or(Refusal::NoHostName)?;
        check_names(names, host)
    }
}

fn set<T>(place: &mut Option<T>, value: T) -> Result<(), Refusal> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::RepeatedExtension),
    }
}

/// Reads one element of a tag and opens its content.
pub(crate) fn nested<'a>(
    reader: &mut SliceReader<'a>,
    tag: Tag,
) -> Result<SliceReader<'a>, Refusal> {
    let element = AnyRef::decode(reader)?;
    der::Tagged::tag(&element).assert_eq(tag)?;
    Ok(SliceReader::new(element.value())?)
}

/// Opens a value that is exactly one element of a tag.
pub(crate) fn only<'a>(value: &'a [u8], tag: Tag) -> Result<SliceReader<'a>, Refusal> {
    let mut reader = SliceReader::new(value)?;
    let inside = nested(&mut reader, tag)?;
    reader.finish(())?;
    Ok(inside)
}

fn basic_constraints(value: &[u8]) -> Result<BasicConstraints, Refusal> {
    let mut reader = only(value, Tag::Sequence)?;
    let ca = match reader.is_finished() {
        false if reader.peek_tag()? == bool::TAG => bool::decode(&mut reader)?,
        _ => false,
    };
    let path_len = match reader.is_finished() {
        true => None,
        false => Some(u32::decode(&mut reader)?),
    };
    reader.finish(())?;
    Ok(BasicConstraints { ca, path_len })
}

fn key_usage(value: &[u8]) -> Result<u8, Refusal> {
    let bits = BitStringRef::from_der(value)?;
    Ok(bits.raw_bytes().first().copied().unwrap_or(0))
}

fn serves_tls(value: &[u8]) -> Result<bool, Refusal> {
    let mut reader = only(value, Tag::Sequence)?;
    let mut serves = false;
    while !reader.is_finished() {
        let purpose = ObjectIdentifier::decode(&mut reader)?;
        serves |= purpose == SERVER_AUTH || purpose == ANY_PURPOSE;
    }
    Ok(serves)
}

fn check_names(value: &[u8], host: HostName<'_>) -> Result<(), Refusal> {
    let mut reader = only(value, Tag::Sequence)?;
    let mut refusal = Refusal::NoHostName;
    for _ in 0..ALT_NAMES_MAX {
        if reader.is_finished() {
            return Err(refusal);
        }
        let name = AnyRef::decode(&mut reader)?;
        if der::Tagged::tag(&name) == DNS_NAME {
            if host.is_named_by(name.value()) {
                return Ok(());
            }
            refusal = Refusal::WrongHost;
        }
    }
    Err(if reader.is_finished() {
        refusal
    } else {
        Refusal::TooMany
    })
}
