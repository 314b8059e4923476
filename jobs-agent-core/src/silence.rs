//! Documents that do not fit the receive buffer of the device.
//!
//! A broker drops a message that is larger than the client takes, without a word: a question for
//! such a document is never answered. The same question without the document is. That alone proves
//! nothing, since the service may have been away before; so the document is asked for once more
//! right after, while the service surely answers. If that stays unanswered too, it does not fit.

/// Questions with the document that stay unanswered before it is asked without. Two: one reply can
/// be lost with a connection, and each costs a reply time-out.
const WITH_DOCUMENT_MAX: u8 = 2;

/// The service answers without the document: the next question is the last one with it.
const LAST: u8 = WITH_DOCUMENT_MAX + 1;

/// How a row of unanswered questions goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Silence {
    row: u8,
    /// The question did not leave: that nobody answers means nothing.
    unsent: bool,
}

impl Silence {
    /// Nothing was asked in vain.
    pub(crate) const NONE: Self = Self {
        row: 0,
        unsent: false,
    };

    /// Whether the question is put without the document now.
    pub(crate) fn asks_bare(self) -> bool {
        self.row == WITH_DOCUMENT_MAX
    }

    /// Time may have passed since the service answered: the last question would prove nothing, and
    /// the one without the document comes first again.
    pub(crate) fn interrupted(&mut self) {
        if self.row == LAST {
            self.row = WITH_DOCUMENT_MAX;
        }
    }

    /// The question did not leave.
    pub(crate) fn unsent(&mut self) {
        self.unsent = true;
    }

    /// A question was not answered in time. True if that was the last one: the document does not
    /// fit.
    pub(crate) fn unanswered(&mut self) -> bool {
        if core::mem::take(&mut self.unsent) {
            self.interrupted();
            return false;
        }
        if self.row < WITH_DOCUMENT_MAX {
            self.row = self.row.wrapping_add(1);
        }
        self.row == LAST
    }

    /// The question without the document was answered.
    pub(crate) fn answered_bare(&mut self) {
        self.row = LAST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two questions in vain, and one without the document answered.
    fn before_the_last() -> Silence {
        let mut silence = Silence::NONE;
        assert!(!silence.unanswered() && !silence.unanswered());
        assert!(silence.asks_bare());
        silence.answered_bare();
        assert!(!silence.asks_bare());
        silence
    }

    #[test]
    fn the_last_question_counts_only_right_after_an_answer() {
        assert!(before_the_last().unanswered());
        // With the connection gone, or with a packet that did not leave, time has passed.
        let mut cut_off = before_the_last();
        cut_off.interrupted();
        let mut unsent = before_the_last();
        unsent.unsent();
        assert!(!unsent.unanswered());
        for mut silence in [cut_off, unsent] {
            assert!(silence.asks_bare());
            assert!(!silence.unanswered());
            silence.answered_bare();
            assert!(silence.unanswered());
        }
    }

    #[test]
    fn a_cut_before_the_last_question_changes_nothing() {
        let mut silence = Silence::NONE;
        silence.unanswered();
        silence.interrupted();
        assert!(!silence.asks_bare());
        assert!(!silence.unanswered());
        assert!(silence.asks_bare());
    }
}
