//! What the behaviour tests share. A test asks for a [`Site`], runs the receipts service there, asks it with
//! [`Plain`] NATS requests or through the typed client, and looks into the [`Journal`].
//!
//! In reading order:
//!
//! - [`site`]: a place to run in: a server, and on it an account of the test's own.
//! - [`instance`]: an instance of the receipts service in this process.
//! - [`program`]: the receipts program as a process of its own.
//! - [`plain`]: requests as any NATS client sends them, and answers looked at from outside.
//! - [`journal`]: what is stored, read without any code of the toolkit.
//! - [`load`]: callers who keep a service busy and keep book of what they were told.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

pub mod instance;
pub mod journal;
pub mod load;
pub mod plain;
pub mod program;
pub mod site;

pub use instance::{Instance, Starting};
pub use journal::{Journal, Stored};
pub use plain::{Answer, Plain, headers};
pub use program::Program;
pub use site::Site;

#[expect(clippy::print_stderr, reason = "a failed test must show what was written elsewhere")]
fn show(what: &str, text: &str) {
    eprintln!("--- the end of {what} ---\n{text}\n--- end ---");
}
