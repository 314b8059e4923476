//! The words of the protocol: names of members, states and codes.
//!
//! Small cores have each list in one text: an array would cost a pointer and a length for each
//! word, here it costs its letters and a space. No word has a space in it. Hosts have the array.

#[cfg(not(feature = "fast"))]
use crate::scan::CLOSED;
use crate::text::EscapedStr;

/// Words, each followed by [`SEPARATOR`].
#[cfg(not(feature = "fast"))]
pub(crate) type Words = &'static [u8];

/// Words.
#[cfg(feature = "fast")]
pub(crate) type Words = &'static [&'static str];

#[cfg(not(feature = "fast"))]
const SEPARATOR: u8 = b' ';

/// Declares a list of words as one text; where it is wanted, also as an array of texts, and the
/// search in it.
macro_rules! words {
    ($(#[$doc:meta])* $list:ident: $($word:literal),+ $(,)?) => {
        $(#[$doc])*
        #[cfg(not(feature = "fast"))]
        pub(crate) const $list: $crate::words::Words = concat!($($word, " "),+).as_bytes();

        $(#[$doc])*
        #[cfg(feature = "fast")]
        pub(crate) const $list: $crate::words::Words = &[$($word),+];
    };
    ($(#[$doc:meta])* $list:ident, $find:ident: $($word:literal),+ $(,)?) => {
        $crate::words::words! { $(#[$doc])* $list: $($word),+ }

        /// The number of the word that the text is, with escapes resolved;
        /// [`crate::words::NONE`] if it is none.
        #[cfg_attr(feature = "fast", inline(always))]
        pub(crate) fn $find(text: $crate::text::EscapedStr<'_>) -> u8 {
            #[cfg(feature = "fast")]
            {
                // Compared with each word as it is known here: no walk, no loop.
                let mut index: u8 = 0;
                $(
                    if text.as_bytes() == $word.as_bytes() {
                        return index;
                    }
                    index = index.wrapping_add(1);
                )+
                let _ = index;
                if !text.is_escaped() {
                    return $crate::words::NONE;
                }
            }
            $crate::words::find($list, text)
        }
    };
    ($(#[$doc:meta])* $list:ident, $find:ident, $array:ident: $($word:literal),+ $(,)?) => {
        $crate::words::words! { $(#[$doc])* $list, $find: $($word),+ }

        /// The same one by one.
        const $array: &[&str] = &[$($word),+];
    };
}
pub(crate) use words;

words! {
    /// The names of members. The ones that come from the service stand first, by type.
    MEMBERS, find_member:
    "clientToken",
    "status",
    "code",
    "message",
    "jobId",
    "thingName",
    "execution",
    "executionState",
    "statusDetails",
    "jobs",
    "versionNumber",
    "executionNumber",
    "approximateSecondsBeforeTimedOut",
    "timestamp",
    "queuedAt",
    "startedAt",
    "lastUpdatedAt",
    "jobDocument",
    "expectedVersion",
    "includeJobExecutionState",
    "includeJobDocument",
    "stepTimeoutInMinutes",
}

/// The number of each member in [`MEMBERS`].
pub(crate) mod member {
    // Texts.
    pub(crate) const CLIENT_TOKEN: u8 = 0;
    pub(crate) const STATUS: u8 = 1;
    pub(crate) const CODE: u8 = 2;
    pub(crate) const MESSAGE: u8 = 3;
    /// From here on texts that are identifiers.
    pub(crate) const IDS: u8 = 4;
    pub(crate) const JOB_ID: u8 = 4;
    pub(crate) const THING_NAME: u8 = 5;
    /// From here on objects.
    pub(crate) const OBJECTS: u8 = 6;
    pub(crate) const EXECUTION: u8 = 6;
    pub(crate) const EXECUTION_STATE: u8 = 7;
    pub(crate) const STATUS_DETAILS: u8 = 8;
    pub(crate) const JOBS: u8 = 9;
    /// From here on whole numbers.
    pub(crate) const INTS: u8 = 10;
    pub(crate) const VERSION_NUMBER: u8 = 10;
    pub(crate) const EXECUTION_NUMBER: u8 = 11;
    /// From here on anything: a strange hint or time never fails a message.
    pub(crate) const ANY: u8 = 12;
    pub(crate) const SECONDS_LEFT: u8 = 12;
    /// From here on times.
    pub(crate) const TIMES: u8 = 13;
    pub(crate) const TIMESTAMP: u8 = 13;
    pub(crate) const QUEUED_AT: u8 = 14;
    pub(crate) const STARTED_AT: u8 = 15;
    pub(crate) const LAST_UPDATED_AT: u8 = 16;
    pub(crate) const JOB_DOCUMENT: u8 = 17;
    // What only requests have.
    pub(crate) const EXPECTED_VERSION: u8 = 18;
    pub(crate) const INCLUDE_STATE: u8 = 19;
    pub(crate) const INCLUDE_DOCUMENT: u8 = 20;
    pub(crate) const STEP_TIMEOUT: u8 = 21;

    /// How many of them the service sends.
    pub(crate) const RECEIVED: usize = 18;
}

/// The word with this number; empty behind the last one.
#[cfg(feature = "fast")]
pub(crate) fn nth(words: Words, index: usize) -> &'static [u8] {
    words.get(index).map_or(&[], |word| word.as_bytes())
}

/// The word with this number; empty behind the last one.
#[cfg(not(feature = "fast"))]
#[inline(never)]
pub(crate) fn nth(words: Words, index: usize) -> &'static [u8] {
    let mut rest = words;
    let mut left = index;
    loop {
        let end = rest.iter().position(|byte| *byte == SEPARATOR);
        let Some((word, tail)) = end.and_then(|end| rest.split_at_checked(end)) else {
            return &[];
        };
        if left == 0 {
            return word;
        }
        left = left.wrapping_sub(1);
        rest = tail.get(1..).unwrap_or(&[]);
    }
}

/// The number of no word.
pub(crate) const NONE: u8 = u8::MAX;

/// The number of the word that the text is, with escapes resolved; [`NONE`] if it is none.
#[cfg(feature = "fast")]
#[cold]
pub(crate) fn find(words: Words, text: EscapedStr<'_>) -> u8 {
    let mut index: u8 = 0;
    for word in words {
        if text.eq_str(word) {
            return index;
        }
        index = index.wrapping_add(1);
    }
    NONE
}

/// The number of the word that the text is, with escapes resolved; [`NONE`] if it is none.
#[cfg(not(feature = "fast"))]
#[inline(never)]
pub(crate) fn find(words: Words, text: EscapedStr<'_>) -> u8 {
    let mut index: u8 = 0;
    let mut scanner = text.scanner();
    let mut same = true;
    for byte in words {
        let wanted = match *byte {
            SEPARATOR => CLOSED,
            letter => u32::from(letter),
        };
        same = same && scanner.char() == wanted;
        if wanted == CLOSED {
            if same {
                return index;
            }
            index = index.wrapping_add(1);
            scanner = text.scanner();
            same = true;
        }
    }
    NONE
}
