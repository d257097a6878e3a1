//! Mail and SMS: messages, their texts, and where they are handed over.
//!
//! | what | where |
//! |------|-------|
//! | addresses | [`address`] |
//! | the texts of a kind of mail in a language, with places for what differs | [`text`] |
//! | a message as bytes (RFC 5322, MIME) | [`message`] |
//! | a mail server | [`smtp`] |
//! | a folder from which another program sends | [`spool`] |
//! | an SMS gateway | [`gateway`] |
//!
//! It knows nothing of accounts: who is told what is decided above. Handing the same message over twice
//! is one message: its name and its Message-ID are the same.
//!
//! The message is made here, not by a library: it is one kind of message of two texts, where the builder
//! of `lettre` would bring several more. SMTP is `lettre`'s.

pub mod address;
pub mod gateway;
pub mod message;
pub mod smtp;
pub mod spool;
pub mod text;

pub use address::Mailbox;
pub use gateway::Gateway;
pub use message::Message;
pub use smtp::Smtp;
pub use spool::Spool;
pub use text::Texts;

/// Why a message was not handed over; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The spool's folder cannot be written.
    #[error("the spool cannot be written: {0}")]
    Spool(#[from] std::io::Error),
    /// So much waits in it that nobody seems to take it away.
    #[error("the spool holds {0} messages, which is as many as it may")]
    SpoolFull(usize),
    /// The mail server is not there, not as it should be, or wants something else of us.
    #[error("the mail server: {0}")]
    Server(String),
    /// The mail server does not take this message, now (4xx) or at all (5xx).
    #[error("the mail server refused a message with {0}")]
    Refused(u16),
    /// The mail server cannot be told an address: it is none, or is beyond ASCII.
    #[error("an address that the mail server cannot be told")]
    BadAddress,
}

impl CarryError {
    /// Whether only this one message is concerned.
    #[must_use]
    pub const fn is_of_message(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::BadAddress)
    }
}

/// Where messages go.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// Into a folder.
    Spool(Spool),
    /// To a mail server.
    Smtp(Smtp),
}

impl Carrier {
    /// Hands a message over; durable when it returns.
    ///
    /// # Errors
    /// [`CarryError`]: it was not, or that is not known; hand it over again.
    ///
    /// # Cancel safety
    /// Cancel safe: the message may have been handed over or not.
    pub async fn hand_over(&self, message: Message) -> Result<(), CarryError> {
        match self {
            Self::Spool(spool) => {
                let spool = spool.clone();
                let put = tokio::task::spawn_blocking(move || spool.put(&message.name, &message.to_bytes()));
                put.await.map_err(std::io::Error::other)?
            }
            Self::Smtp(smtp) => smtp.send(&message).await,
        }
    }
}
