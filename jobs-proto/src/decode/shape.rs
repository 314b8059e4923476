//! Which members each message has, and where.

use crate::words::member;

/// Which message a payload is, as its topic tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// One execution, or none: `…/notify-next`, `…/{jobId}/get/accepted`, `…/$next/get/accepted`
    /// and `…/start-next/accepted`.
    Execution,
    /// `…/{jobId}/update/accepted`.
    Updated,
    /// Any `…/rejected`.
    Rejected,
    /// `…/notify`: lists by state.
    Notify,
    /// `…/get/accepted`: two lists.
    Pending,
}

/// A set of members, one bit for each number.
pub(crate) type Set = u32;

/// The set of these members.
const fn set(members: &[u8]) -> Set {
    let mut set: Set = 0;
    let mut rest = members;
    while let [first, tail @ ..] = rest {
        set |= bit(*first);
        rest = tail;
    }
    set
}

/// The set of this member alone.
pub(crate) const fn bit(member: u8) -> Set {
    1_u32.wrapping_shl(member as u32)
}

/// Members whose value is an object that is looked into on the way.
pub(super) const NESTED: Set = set(&[member::EXECUTION, member::EXECUTION_STATE]);

/// The members of a message.
#[derive(Debug)]
pub(super) struct Shape {
    /// In the message itself.
    pub(super) outer: Set,
    /// In the object that is looked into.
    pub(super) inner: Set,
    /// The one that it cannot do without.
    pub(super) needed: Set,
}

impl Shape {
    /// Of a message of this kind.
    pub(super) fn of(kind: Kind) -> &'static Self {
        SHAPES.get(kind as usize).unwrap_or(&PENDING)
    }
}

/// In the order of [`Kind`].
static SHAPES: [Shape; 5] = [EXECUTION, UPDATED, REJECTED, NOTIFY, PENDING];

impl Shape {
    /// Whether the message lists executions.
    pub(super) fn has_lists(&self) -> bool {
        self.inner == 0
    }

    /// Whether the message is about one execution.
    pub(super) fn has_execution(&self) -> bool {
        self.outer & bit(member::EXECUTION) != 0
    }
}

const EXECUTION: Shape = Shape {
    outer: set(&[member::CLIENT_TOKEN, member::TIMESTAMP, member::EXECUTION]),
    inner: set(&[
        member::JOB_ID,
        member::THING_NAME,
        member::STATUS,
        member::STATUS_DETAILS,
        member::QUEUED_AT,
        member::STARTED_AT,
        member::LAST_UPDATED_AT,
        member::SECONDS_LEFT,
        member::VERSION_NUMBER,
        member::EXECUTION_NUMBER,
        member::JOB_DOCUMENT,
    ]),
    needed: bit(member::JOB_ID),
};

/// The members of a state.
const STATE: Set = set(&[
    member::STATUS,
    member::STATUS_DETAILS,
    member::VERSION_NUMBER,
]);

const UPDATED: Shape = Shape {
    outer: set(&[
        member::CLIENT_TOKEN,
        member::TIMESTAMP,
        member::EXECUTION_STATE,
        member::JOB_DOCUMENT,
    ]),
    inner: STATE,
    needed: 0,
};

const REJECTED: Shape = Shape {
    outer: set(&[
        member::CLIENT_TOKEN,
        member::TIMESTAMP,
        member::EXECUTION_STATE,
        member::CODE,
        member::MESSAGE,
    ]),
    inner: STATE,
    needed: bit(member::CODE),
};

const NOTIFY: Shape = Shape {
    outer: set(&[member::TIMESTAMP, member::JOBS]),
    inner: 0,
    needed: bit(member::JOBS),
};

const PENDING: Shape = Shape {
    outer: set(&[member::CLIENT_TOKEN, member::TIMESTAMP]),
    inner: 0,
    needed: 0,
};

/// Of a line in a list.
pub(super) static LINE: Shape = Shape {
    outer: set(&[
        member::JOB_ID,
        member::EXECUTION_NUMBER,
        member::QUEUED_AT,
        member::STARTED_AT,
        member::LAST_UPDATED_AT,
        member::VERSION_NUMBER,
    ]),
    inner: 0,
    needed: bit(member::JOB_ID),
};

/// What stays of a message when its lines are read.
pub(super) const HEAD: Set = set(&[member::CLIENT_TOKEN, member::TIMESTAMP]);

/// Of a message that is broken: what it takes to answer for the job.
pub(super) const SALVAGE: Shape = Shape {
    outer: set(&[member::CLIENT_TOKEN, member::EXECUTION]),
    inner: set(&[member::JOB_ID, member::QUEUED_AT, member::EXECUTION_NUMBER]),
    needed: 0,
};

/// What is kept of such a message.
pub(super) const SALVAGED: Set = SALVAGE.outer | SALVAGE.inner;
