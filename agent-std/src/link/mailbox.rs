//! What whoever drives a connection has for a link that does not drive it itself.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{LinkError, LinkEvent};

/// Messages put in and not yet taken by [`Link::next`](super::Link::next): the bound of a link with
/// a connection of its own, for the same reason (with messages of 128 KiB it is 4 MiB).
pub(super) const HELD_MESSAGES: usize = 32;

/// Names one connection of a mailbox; never used twice.
pub(super) type Connection = u64;

/// One piece of mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mail {
    Up {
        connection: Connection,
        session_present: bool,
    },
    Message {
        topic: String,
        payload: Bytes,
    },
    /// The answer to a send; as many as there are sends, which the link bounds.
    Answer(LinkEvent),
    Down(LinkError),
}

#[derive(Debug, Default)]
struct Inner {
    mail: VecDeque<Mail>,
    messages: usize,
    /// The connection there is now, whether the reader has heard of it or not.
    up: Option<Connection>,
    last: Connection,
}

/// Mail in order, from one writer to one reader. The writer never waits: a reader that does not
/// keep up loses messages, and is told so as the loss of its connection.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    inner: Mutex<Inner>,
    arrived: Notify,
}

impl Mailbox {
    /// The connection there is now. The reader may not have heard of its end yet.
    pub(super) fn connection(&self) -> Option<Connection> {
        self.lock().up
    }

    pub(super) fn put_up(&self, session_present: bool) {
        self.lock().put_up(session_present);
        self.arrived.notify_one();
    }

    pub(super) fn put_message(&self, topic: &str, payload: Bytes) {
        self.lock().put_message(topic, payload);
        self.arrived.notify_one();
    }

    pub(super) fn put_answer(&self, answer: LinkEvent) {
        self.lock().mail.push_back(Mail::Answer(answer));
        self.arrived.notify_one();
    }

    pub(super) fn put_down(&self, why: LinkError) {
        self.lock().put_down(why);
        self.arrived.notify_one();
    }

    /// The next mail.
    ///
    /// # Cancel safety
    /// Cancel safe: mail is returned or stays.
    pub(super) async fn take(&self) -> Mail {
        loop {
            // One reader: a permit left by mail that came in between is not lost.
            if let Some(mail) = self.lock().take() {
                return mail;
            }
            self.arrived.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put_up(&mut self, session_present: bool) {
        self.last += 1;
        self.up = Some(self.last);
        self.mail.push_back(Mail::Up {
            connection: self.last,
            session_present,
        });
    }

    fn put_down(&mut self, why: LinkError) {
        self.up = None;
        // A connection nobody heard of, or a failure nobody heard of: only the newest counts. This
        // also bounds what piles up here for a reader that does not read.
        while matches!(self.mail.back(), Some(Mail::Up { .. } | Mail::Down(_))) {
            self.mail.pop_back();
        }
        self.mail.push_back(Mail::Down(why));
    }

    fn put_message(&mut self, topic: &str, payload: Bytes) {
        if self.messages < HELD_MESSAGES {
            self.messages += 1;
            let topic = topic.to_owned();
            self.mail.push_back(Mail::Message { topic, payload });
            return;
        }
        // A gap in the messages is like a loss of the connection: what was missed is asked for
        // after the next one. Nothing more is missed as long as nobody has heard of that.
        if !matches!(self.mail.back(), Some(Mail::Up { .. })) {
            self.put_down(LinkError::Overrun {
                held: HELD_MESSAGES,
            });
            self.put_up(false);
        }
    }

    fn take(&mut self) -> Option<Mail> {
        let mail = self.mail.pop_front()?;
        if matches!(mail, Mail::Message { .. }) {
            self.messages -= 1;
        }
        Some(mail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> LinkError {
        LinkError::PeerClosed {
            cause: "test".to_owned(),
        }
    }

    async fn all(mailbox: &Mailbox) -> Vec<Mail> {
        let mut mail = Vec::new();
        while let Ok(one) = tokio::time::timeout(std::time::Duration::ZERO, mailbox.take()).await {
            mail.push(one);
        }
        mail
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_keep_up_is_told_of_a_gap_once() {
        let mailbox = Mailbox::default();
        mailbox.put_up(true);
        for _ in 0..HELD_MESSAGES + 10 {
            mailbox.put_message("t", Bytes::new());
        }
        let mail = all(&mailbox).await;
        assert_eq!(mail.len(), 1 + HELD_MESSAGES + 2);
        let held = HELD_MESSAGES;
        assert_eq!(
            mail[1 + HELD_MESSAGES..],
            [
                Mail::Down(LinkError::Overrun { held }),
                Mail::Up {
                    connection: 2,
                    session_present: false
                }
            ]
        );
        // And from then on messages come again.
        mailbox.put_message("t", Bytes::new());
        assert_eq!(all(&mailbox).await.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_come_and_go_unread_do_not_pile_up() {
        let mailbox = Mailbox::default();
        for _ in 0..1_000 {
            mailbox.put_up(true);
            mailbox.put_down(closed());
        }
        assert_eq!(all(&mailbox).await, [Mail::Down(closed())]);
        assert_eq!(mailbox.connection(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn messages_before_a_loss_stay_before_it() {
        let mailbox = Mailbox::default();
        mailbox.put_up(false);
        mailbox.put_message("t", Bytes::from_static(b"x"));
        mailbox.put_down(closed());
        let mail = all(&mailbox).await;
        assert!(matches!(mail[0], Mail::Up { .. }));
        assert!(matches!(mail[1], Mail::Message { .. }));
        assert_eq!(mail[2], Mail::Down(closed()));
    }
}
